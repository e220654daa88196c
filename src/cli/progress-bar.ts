import { SingleBar, Presets } from 'cli-progress'

/** How a long command tells a person at a terminal how far it is; silent elsewhere. Draws on standard error. */
export interface ProgressBar {
  update(label: string, done: number, total: number): void
  stop(): void
}

const silent: ProgressBar = { update: () => undefined, stop: () => undefined }

/** A bar on a terminal, nothing elsewhere. */
export function createProgressBar(stream: NodeJS.WriteStream): ProgressBar {
  if (!stream.isTTY) return silent
  const bar = new SingleBar(
    {
      stream,
      format: '{bar} {percentage} % | {label} | {duration_formatted}',
      clearOnComplete: true,
      hideCursor: true,
      etaBuffer: 50,
    },
    Presets.shades_classic,
  )
  bar.start(1, 0, { label: '' })
  return {
    update(label, done, total) {
      bar.setTotal(Math.max(total, 1))
      bar.update(Math.min(done, Math.max(total, 1)), { label })
    },
    stop: () => bar.stop(),
  }
}
