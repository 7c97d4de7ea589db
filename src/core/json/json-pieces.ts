/** The items of a JSON list, a chunk of them at a time, so that a long list is never in memory whole. */
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

/** JSON around what comes in pieces. */
export async function* jsonAround(
  before: string,
  pieces: AsyncIterable<string>,
  after: string,
): AsyncGenerator<string> {
  yield before
  yield* pieces
  yield after
}
