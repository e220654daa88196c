import type { Command } from 'commander'
import { rotateSigningKey } from '../checkpoints/rotate-signing-key.js'
import { SigningKeys } from '../checkpoints/signing-keys.js'
import { SigningKeyVault } from '../checkpoints/signing-key-vault.js'
import { publishedKeys } from '../checkpoints/published-keys.js'
import type { Region } from '../kernel/region.js'
import { regionOf } from './admin-names.js'
import type { AdminSession, RunAdmin } from './admin-session.js'

/** Adds `signing-key rotate` and `signing-key list`. */
export function addSigningKeyCommands(admin: Command, run: RunAdmin): void {
  const signingKey = admin.command('signing-key').description('Keys that sign checkpoints, one per region.')
  signingKey
    .command('rotate')
    .description(
      "Puts a new key in the place of a region's. Every chain of the region is told in an event that both keys sign, by the running servers, at once, or else by the next that starts.",
    )
    .argument('<region>', 'the region', regionOf)
    .option('--json', 'answer in JSON')
    .action((region: Region, _: unknown, command: Command) =>
      run(command, async (session) => ({ ...(await rotateSigningKey(keysOf(session), region)) })),
    )
  signingKey
    .command('list')
    .description('Lists the public keys, retired ones too.')
    .option('--json', 'answer in JSON')
    .action((_: unknown, command: Command) =>
      run(command, async ({ control, config }) =>
        (await publishedKeys(control, config.logName)).keys.map((key) => ({ ...key })),
      ),
    )
}

const keysOf = ({ control, clock, config }: AdminSession): SigningKeys =>
  new SigningKeys({
    logName: config.logName,
    vault: new SigningKeyVault({ directory: config.keyVaultDir, masterKeys: config.regionMasterKeys }),
    given: config.signingKeys,
    control,
    clock,
  })
