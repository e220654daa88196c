// Loaded before everything else of an API process: its clock is then as wrong as it is told over IPC, while timers and
// everybody else's clocks stay right.
const RealDate = globalThis.Date
let skewMs = 0

class SkewedDate extends RealDate {
  constructor(...args: [] | [number | string | Date]) {
    if (args.length === 0) super(RealDate.now() + skewMs)
    else super(...(args as [number]))
  }

  static override now(): number {
    return RealDate.now() + skewMs
  }
}

globalThis.Date = SkewedDate as DateConstructor
process.on('message', (message: { readonly skewMs?: number }) => {
  skewMs = message.skewMs ?? skewMs
})
// Whoever began the run is gone: nothing is to be left behind.
process.on('disconnect', () => process.exit(1))
// The channel must not keep a process alive that has finished.
process.channel?.unref()
