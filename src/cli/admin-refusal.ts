/** Something a person can put right; said in a line, without a stack. */
export class AdminRefusal extends Error {
  override readonly name = 'AdminRefusal'
}
