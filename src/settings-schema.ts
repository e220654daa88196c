import ipaddr from 'ipaddr.js'
import { z } from 'zod'
import { isSchedule } from './jobs/schedule.js'
import { awsColdClasses, gcpColdClasses, isEncryption } from './objects/object-store-settings.js'
import { isPostgresUrl, parseColdStorage } from './regions/region-data-store.js'

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

const masterKeyBytes = 32
const pepperBytesMin = 32
const internalTokenLengthMin = 16
const bodyLimitBytesMax = 256 * 1024 * 1024

const base64Bytes = (text: string): number =>
  /^[A-Za-z0-9+/]+={0,2}$/.test(text) && text.length % 4 === 0 ? Buffer.from(text, 'base64').length : -1

function isAddressRange(text: string): boolean {
  const [address, bits, ...rest] = text.split('/')
  if (rest.length > 0 || address === undefined || !ipaddr.isValid(address)) return false
  return bits === undefined || ipaddr.isValidCIDR(text)
}

const signingKeyBytes = 32
/** As the signed notes of checkpoints want it (ledger format, section 4). */
const logNamePattern = /^[a-z0-9]([a-z0-9.-]{0,98}[a-z0-9])?$/

const jobSchedulesSchema = z.record(z.string(), z.string().refine(isSchedule))
function parseJobSchedules(text: string): Readonly<Record<string, string>> | undefined {
  try {
    return jobSchedulesSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

const integer = (min: number, max: number): z.ZodType<number> =>
  z
    .string()
    .refine((text) => /^\d+$/.test(text) && Number(text) >= min && Number(text) <= max, {
      error: `must be a whole number from ${min} to ${max}.`,
    })
    .transform(Number)
const flag = z
  .enum(['true', 'false', '1', '0'], { error: 'must be true or false.' })
  .transform((t) => t === 'true' || t === '1')
const masterKey = z.string().refine((text) => base64Bytes(text) === masterKeyBytes, {
  error: `must be ${masterKeyBytes} bytes in base64 (openssl rand -base64 32).`,
})
const postgresUrl = z
  .string()
  .refine(isPostgresUrl, { error: 'must be a URL like postgres://user:password@host:5432/database.' })
const commaSeparated = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
)
const list = commaSeparated.refine((items) => items.every(isAddressRange), {
  error: 'must be IP addresses or CIDR ranges, separated by commas.',
})
const origins = commaSeparated.refine(
  (items) => items.every((item) => URL.canParse(item) && new URL(item).origin === item),
  {
    error: 'must be origins such as https://console.example, separated by commas.',
  },
)
const coldStorage = z
  .string()
  .refine((text) => parseColdStorage(text) !== undefined, {
    error: 'must be local:/folder, aws:bucket, azure:container or gcp:bucket.',
  })
  .transform((text) => parseColdStorage(text)!)

const coldClasses = [...awsColdClasses, ...gcpColdClasses] as const
function isServerAddress(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, username, password, search, hash } = new URL(text)
  return ['http:', 'https:'].includes(protocol) && [username, password, search, hash].every((part) => part === '')
}

/** Settings of every installation, by the name of their variable. */
export const generalSchema = {
  PORT: integer(0, 65_535).optional(),
  HOST: z.string().optional(),
  NODE_ENV: z.string().optional(),
  LOG_LEVEL: z.enum(logLevels, { error: `must be one of ${logLevels.join(', ')}.` }).optional(),
  DATA_DIR: z.string().optional(),
  SEED_DEMO: flag.optional(),
  INTROSPECTION: flag.optional(),
  GRAPHIQL: flag.optional(),
  TRUSTED_PROXIES: list.optional(),
  ALLOWED_ORIGINS: origins.optional(),
  REQUIRE_STAFF_TOTP: flag.optional(),
  REGION_DEADLINE_MS: integer(50, 60_000).optional(),
  BODY_LIMIT_BYTES: integer(1_024, bodyLimitBytesMax).optional(),
  LOG_NAME: z
    .string()
    .refine((text) => logNamePattern.test(text), {
      error: 'must look like a host name: up to 100 lower-case letters, digits, dots and hyphens.',
    })
    .optional(),
  JOB_SCHEDULES: z
    .string()
    .refine((text) => parseJobSchedules(text) !== undefined, {
      error: 'must be JSON such as {"health": "* * * * *"}: names of jobs, and patterns of cron in UTC.',
    })
    .transform((text) => parseJobSchedules(text)!)
    .optional(),
  ARCHIVE_PARQUET: flag.optional(),
  INTERNAL_TOKEN: z
    .string()
    .min(internalTokenLengthMin, { error: `must have at least ${internalTokenLengthMin} characters.` })
    .optional(),
}
/** What servers of one's own need besides, all of it. */
export const ownSchema = {
  CONTROL_DATABASE_URL: postgresUrl.optional(),
  CONTROL_OWNER_URL: postgresUrl.optional(),
  CONTROL_MASTER_KEY: masterKey.optional(),
  API_KEY_PEPPER: z
    .string()
    .refine((text) => base64Bytes(text) >= pepperBytesMin, {
      error: `must be at least ${pepperBytesMin} bytes in base64 (openssl rand -base64 32).`,
    })
    .optional(),
  KEY_VAULT_DIR: z.string().optional(),
}
/** What follows `REGION_<CODE>_`. */
export const regionSchema = {
  DATABASE_URL: postgresUrl.optional(),
  OWNER_URL: postgresUrl.optional(),
  READ_ONLY_URL: postgresUrl.optional(),
  COLD_STORAGE: coldStorage.optional(),
  COLD_STORAGE_ENDPOINT: z
    .string()
    .refine(isServerAddress, { error: 'must be an address such as https://objects.example, without credentials.' })
    .optional(),
  COLD_STORAGE_REGION: z
    .string()
    .regex(/^[a-z0-9-]+$/, { error: 'must be a name of the vendor’s such as eu-central-1.' })
    .optional(),
  COLD_STORAGE_CLASS: z.enum(coldClasses, { error: `must be one of ${coldClasses.join(', ')}.` }).optional(),
  COLD_STORAGE_ENCRYPTION: z
    .string()
    .refine(isEncryption, { error: 'must be aes256, kms or kms: and the id of a key.' })
    .optional(),
  COLD_STORAGE_PATH_STYLE: flag.optional(),
  COLD_STORAGE_CREDENTIALS: z.string().optional(),
  MASTER_KEY: masterKey.optional(),
  SIGNING_KEY: z
    .string()
    .transform((text) => text.split(',').map((key) => key.trim()))
    .refine((keys) => keys.every((key) => base64Bytes(key) === signingKeyBytes), {
      error: `must be ${signingKeyBytes} bytes in base64 (openssl rand -base64 32); after a change the former ones follow, separated by commas.`,
    })
    .optional(),
}
