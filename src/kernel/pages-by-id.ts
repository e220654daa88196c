const NIL_UUID = '00000000-0000-0000-0000-000000000000'

/**
 * Rows in the order of their ids (UUIDs), page by page, each read when the one before has been dealt with. `read` answers
 * the rows after an id, `size` at most. Never yields an empty page.
 */
export async function* pagesById<Row extends { readonly id: string }>(
  size: number,
  read: (after: string, limit: number) => Promise<readonly Row[]>,
): AsyncGenerator<readonly Row[], void, undefined> {
  for (let after = NIL_UUID; ;) {
    const page = await read(after, size)
    if (page.length > 0) yield page
    if (page.length < size) return
    after = page.at(-1)!.id
  }
}
