import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto'
import { encodeRegionalId } from '../kernel/ids.js'
import { type ExportJob, statusAt } from './export-job.js'

/** A link works for so long; a new one is had by asking for the export again. */
export const LINK_VALID_MS = 15 * 60_000

export const DOWNLOAD_PATH = '/v1/exports'

function signatureOf(key: KeyObject, id: string, expires: string): Buffer {
  return createHmac('sha256', key).update(`GET ${DOWNLOAD_PATH}/${id}\nexpires ${expires}`).digest()
}

/**
 * Where a finished export can be downloaded for a while by whoever has the link, as a path of this server; null where
 * there is nothing to download.
 */
export function downloadLink(key: KeyObject, job: ExportJob, now: Date): string | null {
  if (statusAt(job, now) !== 'DONE') return null
  const id = encodeRegionalId('export', job.region, job.id)
  const expiresMs = Math.min(now.getTime() + LINK_VALID_MS, job.expiresAt!.getTime())
  const expires = String(Math.floor(expiresMs / 1000))
  const signature = signatureOf(key, id, expires).toString('base64url')
  return `${DOWNLOAD_PATH}/${id}?expires=${expires}&signature=${signature}`
}

/** Whether a link is one of ours, and whether its time is over. */
export function checkLink(
  key: KeyObject,
  link: { readonly id: string; readonly expires: unknown; readonly signature: unknown },
  now: Date,
): 'GOOD' | 'FORGED' | 'EXPIRED' {
  const { id, expires, signature } = link
  if (typeof expires !== 'string' || typeof signature !== 'string' || !/^\d{1,12}$/.test(expires)) return 'FORGED'
  const expected = signatureOf(key, id, expires)
  const given = Buffer.from(signature, 'base64url')
  // base64url has several texts for one value; only ours is a signature.
  if (given.length !== expected.length || given.toString('base64url') !== signature) return 'FORGED'
  if (!timingSafeEqual(given, expected)) return 'FORGED'
  return Number(expires) * 1000 > now.getTime() ? 'GOOD' : 'EXPIRED'
}
