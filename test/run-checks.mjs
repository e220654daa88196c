// Everything that must hold before a change goes in, in the order in which it is quickest to know: `npm test`.
// `npm test -- test/api/database.test.ts` runs only the tests named.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'

const results = 'node_modules/.cache/hyrelog/test-results.json'
const only = process.argv.slice(2)
const say = (text) => process.stdout.write(`${text}\n`)
const run = (command, args) => spawnSync(command, args, { stdio: 'inherit' }).status === 0
const script = (name) => () => run('npm', ['run', '--silent', name])

/** Prints the schema anew and compares: what the code serves is what is committed. */
function schemaIsCommitted() {
  const digest = () => createHash('sha256').update(readFileSync('schema.graphql')).digest('hex')
  const before = digest()
  if (!script('schema')()) return false
  if (digest() === before) return true
  say('schema.graphql was not what the code says. It has been printed anew: look at the difference and commit it.')
  return false
}

function tests() {
  mkdirSync('node_modules/.cache/hyrelog', { recursive: true })
  rmSync(results, { force: true })
  return run('npx', ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${results}`, ...only])
}

/** Figures of the test run. A file that could not even be loaded counts as one failure. */
function figures() {
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(results, 'utf8'))
    const unloaded = testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0).length
    return `${numPassedTests} passed, ${numFailedTests + unloaded} failed`
  } catch {
    return '0 passed, 1 failed'
  }
}

/** @type {readonly (readonly [string, () => boolean])[]} */
const checks = [
  ['format', script('format:check')],
  ['lint', script('lint')],
  ['types', script('types')],
  ['boundaries', script('boundaries')],
  ['dead code', script('deadcode')],
  ['schema drift', schemaIsCommitted],
  ['generated client', script('codegen:check')],
  ['tests', tests],
]
const failed = []
const chosen = only.length > 0 ? checks.slice(-1) : checks
for (const [name, check] of chosen) {
  say(`\n== ${name}`)
  // All of them, though one fails: whoever waits for the answer wants the whole of it.
  if (!check()) failed.push(name)
}
say('')
if (failed.length > 0) say(`Not in order: ${failed.join(', ')}.`)
else if (only.length === 0) say('Everything is in order.')
say(figures())
process.exitCode = failed.length > 0 ? 1 : 0
