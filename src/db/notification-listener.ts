import { Client } from 'pg'

export interface NotificationHandlers {
  onNotification(channel: string, payload: string): void
  /** After each (re)connect: whatever could have been missed must be assumed to have happened. */
  onReset?(): void
  /** The connection is gone; until onReset nothing is heard. */
  onLost?(): void
}

const retryFirstMs = 100
const retryLastMs = 5_000
const heartbeatMs = 5_000
// A server that was stopped in its tracks keeps the connection open and silent.
const answerTimeoutMs = 3_000

/** One session that LISTENs, as long as it takes: it reconnects by itself and says what may have been missed. */
export class NotificationListener {
  readonly #url: string
  readonly #channels: readonly string[]
  readonly #handlers: NotificationHandlers
  #client: Client | undefined
  #connected = false
  #stopped = true
  #retryMs = retryFirstMs
  #timer: NodeJS.Timeout | undefined

  constructor(url: string, channels: readonly string[], handlers: NotificationHandlers) {
    for (const channel of channels)
      if (!/^[a-z_]+$/.test(channel)) throw new TypeError(`${channel} is no name of a channel.`)
    this.#url = url
    this.#channels = channels
    this.#handlers = handlers
  }

  get connected(): boolean {
    return this.#connected
  }

  /** Begins to connect, in the background. */
  start(): void {
    if (!this.#stopped) return
    this.#stopped = false
    this.#connect()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    const client = this.#client
    this.#client = undefined
    this.#connected = false
    if (client === undefined) return
    client.removeAllListeners('notification')
    await Promise.race([
      client.end(),
      new Promise<void>((resolve) => {
        setTimeout(resolve, answerTimeoutMs).unref()
      }),
    ])
  }

  #connect(): void {
    const client = new Client({
      connectionString: this.#url,
      application_name: 'hyrelog listen',
      connectionTimeoutMillis: answerTimeoutMs,
      query_timeout: answerTimeoutMs,
      keepAlive: true,
    })
    this.#client = client
    client.on('error', () => this.#lose(client))
    client.on('end', () => this.#lose(client))
    client.on('notification', (message) => {
      if (this.#client === client) this.#handlers.onNotification(message.channel, message.payload ?? '')
    })
    this.#listen(client).catch(() => this.#lose(client))
  }

  async #listen(client: Client): Promise<void> {
    await client.connect()
    await client.query(this.#channels.map((channel) => `listen ${channel}`).join('; '))
    if (this.#client !== client) return
    this.#connected = true
    this.#retryMs = retryFirstMs
    this.#handlers.onReset?.()
    this.#beat(client)
  }

  #beat(client: Client): void {
    this.#timer = setTimeout(() => {
      client.query('select 1').then(
        () => {
          if (this.#client === client) this.#beat(client)
        },
        () => this.#lose(client),
      )
    }, heartbeatMs)
    this.#timer.unref()
  }

  #lose(client: Client): void {
    if (this.#client !== client) return
    this.#client = undefined
    clearTimeout(this.#timer)
    // end() would wait for the answer of a server that gives none.
    client.connection.stream.destroy()
    const wasConnected = this.#connected
    this.#connected = false
    if (wasConnected) this.#handlers.onLost?.()
    if (this.#stopped) return
    this.#timer = setTimeout(() => this.#connect(), this.#retryMs)
    this.#timer.unref()
    this.#retryMs = Math.min(this.#retryMs * 2, retryLastMs)
  }
}
