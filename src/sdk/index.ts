export { createHyreLogClient, type HyreLogClient } from './client.js'
export { HyreLogError, type HyreLogErrorDetails, type HyreLogFault } from './hyrelog-error.js'
export type { IterateGlobalEventsOptions, RegionReport } from './iterate-global-events.js'
export type { RequestOptions, TransportOptions } from './transport.js'
export {
  verifyExport,
  type ExportKey,
  type ExportSource,
  type ExportVerdict,
  type SeenCheckpoint,
  type VerifyExportOptions,
} from './verify-export.js'
export type {
  AuditEventFieldsFragment as AuditEvent,
  ExportFieldsFragment as Export,
  ExportFormat,
  ExportScope,
  ExportStatus,
  EventFilter,
  IngestEventInput,
  IngestStatus,
  ReceiptFieldsFragment as IngestReceipt,
  Region,
} from './generated/sdk.js'
