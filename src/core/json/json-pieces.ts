/** Yields the items of a JSON list in chunks, so that a long list is never completely in memory. */
export async function* jsonItems<Item>(
  chunks: AsyncIterable<readonly Item[]>,
  write: (item: Item) => string = (item) => JSON.stringify(item),
): AsyncGenerator<string> {
  let separator = ''
  for await (const items of chunks) {
    if (items.length === 0) continue
    yield separator + items.map(write).join(',')
    separator = ','
  }
}

/** Yields pieces with JSON text before and after them. */
export async function* jsonAround(
  before: string,
  pieces: AsyncIterable<string>,
  after: string,
): AsyncGenerator<string> {
  yield before
  yield* pieces
  yield after
}
