// Layers, low to high. A folder imports only from folders in lower rows; two folders of one row don't know each other.
const layers = [
  ['kernel'],
  ['ledger'],
  ['db', 'objects'],
  ['sealing'],
  ['directory'],
  ['regions'],
  ['admin-log'],
  ['auth'],
  ['graphql'],
  ['jobs'],
  ['workspaces', 'events', 'checkpoints', 'members', 'exports', 'verification', 'gdpr', 'archive'],
  ['demo'],
  ['server'],
  ['cli'],
]
// A new edge between features is a change of the design: it is written here or it does not exist.
const featureEdges = {
  workspaces: [],
  events: ['workspaces'],
  checkpoints: ['events'],
  members: ['workspaces'],
  exports: ['events', 'workspaces', 'checkpoints'],
  verification: ['events', 'workspaces', 'checkpoints'],
  archive: ['events', 'workspaces', 'checkpoints'],
  gdpr: ['archive', 'events', 'exports', 'members', 'workspaces'],
}
const features = Object.keys(featureEdges)

const under = (names) => `^src/(${names.join('|')})/`
const unitTest = '[.]test[.]ts$'
const forbid = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to })

module.exports = {
  forbidden: [
    ...layers
      .slice(0, -1)
      .map((own, i) =>
        forbid(
          `layer-upward-${own.join('-')}`,
          'Import from lower layers only. The configuration is passed down, not imported.',
          { path: under(own), pathNot: unitTest },
          { path: [...layers.slice(i + 1).map(under), '^src/[^/]+[.]ts$'] },
        ),
      ),
    ...layers
      .filter((row) => row.length > 1 && !row.includes(features[0]))
      .flatMap((row) =>
        row.map((own) =>
          forbid(
            `layer-sideways-${own}`,
            'Folders of one layer do not know each other.',
            { path: under([own]) },
            { path: under(row.filter((other) => other !== own)) },
          ),
        ),
      ),
    ...features.map((feature) =>
      forbid(
        `feature-sideways-${feature}`,
        'This edge is not listed in featureEdges.',
        { path: under([feature]) },
        {
          path: under(
            features.filter((other) => other !== feature && !featureEdges[feature].includes(other)).concat('none'),
          ),
        },
      ),
    ),
    forbid(
      'unknown-folder',
      'Every folder of src has a row in layers.',
      { path: '^src/[^/]+/', pathNot: `^src/(sdk|${layers.flat().join('|')})/` },
      {},
    ),
    forbid(
      'sdk-stands-alone',
      'The SDK runs in browsers: it imports nothing of the server, but the pure ledger for its verifier.',
      { path: '^src/sdk/', pathNot: unitTest },
      {
        path: [
          '^src/(?!sdk/|ledger/)',
          '^src/ledger/(signing-key|index)[.]ts$',
          '^(node:)?(fs|net|http|https|crypto|stream|child_process|worker_threads|zlib|process)(/|$)',
        ],
      },
    ),
    forbid(
      'sdk-stays-small',
      'Of graphql the SDK takes types and the printer, not the library: it ends up in browsers.',
      { path: '^src/sdk/', pathNot: unitTest },
      { path: 'node_modules/', pathNot: 'node_modules/graphql/language/printer', dependencyTypesNot: ['type-only'] },
    ),
    forbid(
      'sdk-by-its-door',
      'From outside import src/sdk/index.ts, as every integrator does.',
      { path: '^(src|test)/(?!sdk/)' },
      { path: '^src/sdk/', pathNot: '^src/sdk/index[.]ts$' },
    ),
    forbid(
      'server-without-sdk',
      'Only the command line and the tests speak to the service from outside.',
      { path: '^src/(?!sdk/|cli/)', pathNot: unitTest },
      { path: '^src/sdk/' },
    ),
    forbid(
      'graphql-at-the-edge',
      'Only *.graphql.ts, *.resolver.ts, graphql/ and server/ know the API libraries.',
      { path: '^src/', pathNot: ['[.](graphql|resolver)[.]ts$', '^src/(graphql|server|sdk)/', unitTest] },
      {
        path: 'node_modules/(type-graphql|graphql|graphql-scalars|graphql-query-complexity|@apollo|@escape[.]tech)/',
        dependencyTypesNot: ['type-only'],
      },
    ),
    forbid(
      'resolver-sees-no-database',
      'A resolver calls an operation, never a store or the ORM.',
      { path: '[.](resolver|graphql)[.]ts$' },
      { path: ['[.]store[.]ts$', 'node_modules/(@mikro-orm|pg)/'], dependencyTypesNot: ['type-only'] },
    ),
    forbid(
      'orm-in-stores',
      'Queries live in *.store.ts, tables in *.entity.ts, connections in db/.',
      { path: '^src/', pathNot: ['[.](store|entity)[.]ts$', '^src/(db|regions)/', unitTest] },
      { path: 'node_modules/@mikro-orm/', dependencyTypesNot: ['type-only'] },
    ),
    forbid(
      'driver-in-db',
      'Everything else goes through Database.',
      { path: '^src/', pathNot: ['^src/db/', unitTest] },
      { path: 'node_modules/pg/', dependencyTypesNot: ['type-only'] },
    ),
    forbid(
      'vendors-in-objects',
      'Everything else goes through ObjectStore.',
      { path: '^src/', pathNot: ['^src/objects/', unitTest] },
      { path: 'node_modules/(@aws-sdk|@azure|@google-cloud)/' },
    ),
    forbid(
      'objects-know-the-kernel-only',
      'A driver of a bucket knows nothing of what is in it.',
      { path: '^src/objects/', pathNot: unitTest },
      { path: '^src/(?!objects/|kernel/)' },
    ),
    forbid(
      'croner-in-jobs',
      'Export a job; jobs/ runs it.',
      { path: '^src/', pathNot: '^src/jobs/' },
      { path: 'node_modules/croner/' },
    ),
    forbid(
      'kernel-is-pure',
      'kernel/ has no packages and no I/O.',
      { path: '^src/kernel/', pathNot: unitTest },
      { path: ['node_modules/', '^(node:)?(fs|net|http|https|child_process|worker_threads)(/|$)'] },
    ),
    forbid(
      'ledger-is-pure',
      'The ledger verifies offline: no packages and no I/O. For browsers SHA-256 and Ed25519 come from a package.',
      { path: '^src/ledger/', pathNot: [unitTest, '^src/ledger/crypto-browser[.]ts$'] },
      { path: ['node_modules/', '^(node:)?(fs|net|http|https|child_process|worker_threads)(/|$)'] },
    ),
    forbid(
      'no-test-to-test',
      'Share through test/harness.',
      { path: '^test/(?!harness/)' },
      { path: '^test/(?!harness/).*[.]test[.]ts$' },
    ),
    forbid(
      'src-not-to-test',
      'Production code never imports tests.',
      { path: '^src/', pathNot: unitTest },
      { path: ['^test/', unitTest] },
    ),
    forbid('no-circular', 'Break the cycle by moving the shared type down.', {}, { circular: true }),
    forbid(
      'no-orphans',
      'Dead file.',
      {
        orphan: true,
        pathNot: [
          '[.]d[.]ts$',
          unitTest,
          '^src/(main|cli/main|sdk/index|server/print-schema|ledger/crypto-browser)[.]ts$',
          '^test/',
        ],
      },
      {},
    ),
    forbid(
      'no-dev-deps',
      'A production install would break.',
      { path: '^src/', pathNot: unitTest },
      { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    ),
    forbid('resolvable', 'Import does not resolve.', {}, { couldNotResolve: true }),
  ],
  options: {
    // TypeScript 7 has no compiler API to parse with; swc has a parser of its own.
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^test/vectors/' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.json', '.mjs', '.cjs', '.d.ts'],
    },
  },
}
