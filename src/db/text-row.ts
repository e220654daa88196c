import { types } from 'pg'

/** One row, undecoded: columns in their order, each as the text PostgreSQL sends. */
export type TextRow = readonly (string | null)[]

/** The instant of a timestamptz. */
export const instantFromText = types.getTypeParser(types.builtins.TIMESTAMPTZ) as (text: string) => Date

/** The bytes of a bytea, which is sent as \x and hexadecimal digits. */
export const bytesFromText = (text: string): Buffer => Buffer.from(text.slice(2), 'hex')
