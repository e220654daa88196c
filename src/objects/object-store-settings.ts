/** Which bucket of whom: a region's cold storage. */
export interface ObjectPlace {
  readonly provider: 'LOCAL' | 'AWS' | 'AZURE' | 'GCP'
  /** Bucket or container; for LOCAL a folder. */
  readonly bucket: string
}

/** How a region's bucket is reached and written, as far as the operator says; each vendor takes some of them. */
export interface ObjectStoreSettings {
  /** Address of the server, of the account (Azure) or of the API (Google). */
  readonly endpoint?: string | undefined
  /** The vendor's name of its own region. */
  readonly region?: string | undefined
  /** Where cold objects go. */
  readonly storageClass?: string | undefined
  /** `aes256`, `kms` or `kms:` and the key's id. */
  readonly encryption?: string | undefined
  readonly pathStyle?: boolean | undefined
  /** `id:secret` (AWS), a connection string (Azure) or the path of a key file (Google); the vendor's default otherwise. */
  readonly credentials?: string | undefined
}

export interface ObjectStoreSettingsProblem {
  readonly setting: keyof ObjectStoreSettings
  readonly message: string
}

const known: Readonly<Record<ObjectPlace['provider'], readonly (keyof ObjectStoreSettings)[]>> = {
  LOCAL: [],
  AWS: ['endpoint', 'region', 'storageClass', 'encryption', 'pathStyle', 'credentials'],
  AZURE: ['endpoint', 'credentials'],
  GCP: ['endpoint', 'storageClass', 'credentials'],
}
const names = { LOCAL: 'local:', AWS: 'aws:', AZURE: 'azure:', GCP: 'gcp:' } as const

export const awsColdClasses = ['DEEP_ARCHIVE', 'GLACIER'] as const
export const gcpColdClasses = ['ARCHIVE', 'COLDLINE'] as const

/** True for `aes256`, `kms` and `kms:` with the id, the alias or the ARN of a key. */
export const isEncryption = (text: string): boolean => /^(aes256|kms(:[A-Za-z0-9:/_-]+)?)$/.test(text)

/** What of these settings doesn't go with this vendor. */
export function settingsProblems(
  provider: ObjectPlace['provider'],
  settings: ObjectStoreSettings,
): ObjectStoreSettingsProblem[] {
  const given = Object.entries(settings).filter(([, value]) => value !== undefined)
  const problems = given
    .map(([setting]) => setting as keyof ObjectStoreSettings)
    .filter((setting) => !known[provider].includes(setting))
    .map((setting) => ({ setting, message: `has no effect with ${names[provider]} storage.` }))
  if (problems.length > 0) return problems
  const wrong = (setting: keyof ObjectStoreSettings, message: string): void => void problems.push({ setting, message })
  const { storageClass, credentials, endpoint } = settings
  const classes: readonly string[] = provider === 'GCP' ? gcpColdClasses : awsColdClasses
  if (storageClass !== undefined && !classes.includes(storageClass))
    wrong('storageClass', `must be ${classes.join(' or ')} with ${names[provider]} storage.`)
  if (provider === 'AWS' && credentials !== undefined && !/^[^:\s]+:\S+$/.test(credentials))
    wrong('credentials', 'must be an access key id and its secret, with a colon between, with aws: storage.')
  if (provider === 'AZURE' && credentials !== undefined && !isConnectionString(credentials))
    wrong('credentials', 'must be a connection string of a storage account with azure: storage.')
  if (provider === 'AZURE' && (credentials === undefined) === (endpoint === undefined))
    wrong(
      'endpoint',
      'must be the address of the storage account with azure: storage, or else its connection string given.',
    )
  return problems
}

const isConnectionString = (text: string): boolean =>
  /(^|;)(AccountKey|SharedAccessSignature)=./.test(text) && /(^|;)(AccountName|BlobEndpoint)=./.test(text)
