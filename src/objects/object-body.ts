/**
 * Runs `work` on a body; where the body itself fails, what it threw comes out as it is and not as whatever a driver made
 * of it.
 */
export async function withBody<T>(
  body: AsyncIterable<Uint8Array>,
  work: (body: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  let failure: { readonly error: unknown } | undefined
  async function* watched(): AsyncGenerator<Uint8Array> {
    try {
      yield* body
    } catch (error) {
      failure = { error }
      throw error
    }
  }
  try {
    return await work(watched())
  } catch (error) {
    throw failure === undefined ? error : failure.error
  }
}
