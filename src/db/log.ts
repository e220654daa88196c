import type { Logger } from 'pino'

/** The part of the process's logger that databases and regions write to. */
export type Log = Pick<Logger, 'info' | 'warn' | 'error'>
