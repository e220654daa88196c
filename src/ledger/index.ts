export {
  bodyHash,
  bodyText,
  buildBody,
  buildBodyOfDigests,
  isLabel,
  LABEL_CHARACTERS_MAX,
  type BodyFields,
} from './body.js'
export type { BodyColumns, ChainEvent, ClaimedTombstone } from './chain-event.js'
export { ChainVerifier, type ChainState, type ChainVerifierOptions } from './chain-verifier.js'
export type { KeptCheckpoint } from './checkpoint-verdict.js'
export {
  checkpointOrigin,
  parseCheckpoint,
  parseOrigin,
  regionKeyName,
  signCheckpoint,
  type Checkpoint,
} from './checkpoint.js'
export { CompactRange, TILE_HEIGHT, TILE_WIDTH, type MerkleNode } from './compact-range.js'
export { fromBytes, fromHex, toBytes, toHex, utf8Text, type Latin1 } from './crypto.js'
export {
  disclosureDigest,
  disclosureJson,
  disclosuresOf,
  fieldsOf,
  jsonDigestBase64,
  SALT_BYTES,
  type DisclosableFields,
  type DisclosedChange,
  type DisclosedFields,
  type Disclosure,
} from './disclosure.js'
export { readExportLine, writeCheckpointLine, writeExportLine, type ExportLine } from './export-line.js'
export { ExportVerifier, type ExportVerifierOptions } from './export-verifier.js'
export { UNIQUE_IDS_MAX } from './id-set.js'
export { buildKeyRotation, verifyKeyRotation, type KeyRotation } from './key-rotation.js'
export { linkHash, ZERO_HASH } from './link.js'
export type { ErasedDigest, EventPlace } from './pending-erasures.js'
export { verifyConsistency, verifyInclusion } from './proof-verification.js'
export { consistencyProof, frontierAt, inclusionProof, treeRoot, type NodeRange, type NodeReader } from './proof.js'
export {
  keyId,
  parseNote,
  signNote,
  verifyNote,
  type NoteKey,
  type NoteSigner,
  type SignedNote,
} from './signed-note.js'
export { generateSigningKey, noteSigner, publicKeyOf, seedOf, signingKeyFromSeed } from './signing-key.js'
export { tombstone, TombstoneSet } from './tombstone.js'
export type { Trust } from './trust.js'
export {
  breakReasons,
  type BreakReason,
  type ChainBreak,
  type Outcome,
  type Verdict,
  type VerifiedCheckpoint,
  type Warning,
  type WarningCode,
} from './verdict.js'
