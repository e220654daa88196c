import { NotificationListener } from '../db/notification-listener.js'
import { FACTS_CHANNEL } from '../directory/control-facts.js'
import { ERASURE_CHANNEL } from '../gdpr/erasure-work.store.js'
import { type Region, isRegion, regions } from '../kernel/region.js'
import { REGION_MODE_CHANNEL } from '../regions/region-mode.js'
import { REGION_STATE_CHANNEL } from '../regions/region-state.js'
import type { Replicator } from '../replication/replicator.js'
import type { Recording } from './recording.js'
import type { Stores } from './stores.js'

/** What the process remembers of keys and of what they opened, and has to forget when keys are destroyed. */
export type ForgetKeys = (region: Region) => void

/** Hears what the control database tells of, and has it acted by here. */
export function listenToControl(
  controlUrl: string,
  { facts, modes, health, owed }: Stores,
  { checkpointer }: Recording,
  { replicator, forget }: { readonly replicator: Replicator; readonly forget: ForgetKeys },
): NotificationListener {
  const channels = [FACTS_CHANNEL, REGION_STATE_CHANNEL, REGION_MODE_CHANNEL, ERASURE_CHANNEL]
  return new NotificationListener(controlUrl, channels, {
    onNotification: (channel, payload) => {
      if (channel === REGION_STATE_CHANNEL) return health.notified(payload)
      if (channel === REGION_MODE_CHANNEL) return modes.notified(payload)
      if (channel === ERASURE_CHANNEL) return isRegion(payload) ? forget(payload) : undefined
      facts.notified(payload)
      checkpointer.notified(payload)
      replicator.notified(payload)
      owed.notified(payload)
      return undefined
    },
    onLost: () => facts.lost(),
    onReset: () => {
      for (const region of regions) forget(region)
      facts.reset()
      health.reset()
      modes.reset()
      replicator.reset()
      owed.reset()
    },
  })
}
