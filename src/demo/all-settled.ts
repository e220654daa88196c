/**
 * All answers, or the first failure once everything has ended: unlike Promise.all, nothing still runs when this
 * rejects, so that the work can be begun again.
 */
export async function allSettled<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(work)
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason
    return outcome.value
  })
}
