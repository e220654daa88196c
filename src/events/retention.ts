const dayMs = 86_400_000

/**
 * Events received before this moment are past their retention and no longer shown. It goes by when the service received
 * an event, not by when it happened: an import of old events is kept for its full time.
 */
export const retentionCutoff = (retentionDays: number, now: Date): Date =>
  // Nothing was received before the epoch; 36 500 days reach back beyond it.
  new Date(Math.max(0, now.getTime() - retentionDays * dayMs))
