import { exitCodes, type ExitCode } from './ingest-command.js'

/** Something a person can put right; said in a line, without a stack. */
export class AdminRefusal extends Error {
  override readonly name = 'AdminRefusal'
  constructor(
    message: string,
    readonly exitCode: ExitCode = exitCodes.refused,
  ) {
    super(message)
  }
}
