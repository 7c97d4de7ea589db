/** Throws unless `key` consists of letters, digits, `-` and `_`, so that it is safe in paths. */
export function checkObjectKey(key: string): void {
  if (!/^[\w-]{5,}$/.test(key)) throw new Error(`${JSON.stringify(key)} is not an object key`)
}
