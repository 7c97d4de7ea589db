const PRESCAN_BYTES = 4096
const BOMS: readonly [encoding: string, bytes: number[]][] = [
  ['utf-8', [0xef, 0xbb, 0xbf]],
  ['utf-16le', [0xff, 0xfe]],
  ['utf-16be', [0xfe, 0xff]],
]

/**
 * Decodes a page: its byte order mark counts first, then the header, then what the page itself declares. Without any,
 * it is UTF-8, or windows-1252 if the bytes are no UTF-8.
 */
export function pageText(body: Buffer, contentType: string | undefined): string {
  const bom = BOMS.find(([, bytes]) => bytes.every((byte, place) => body[place] === byte))?.[0]
  const decoder = decoderFor(bom) ?? decoderFor(charsetIn(contentType)) ?? decoderFor(declared(body))
  if (decoder) return decoder.decode(body)
  // A page that was cut may end within a character.
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body, { stream: true })
  } catch {
    return new TextDecoder('windows-1252').decode(body)
  }
}

function decoderFor(label: string | undefined): InstanceType<typeof TextDecoder> | undefined {
  if (label === undefined) return undefined
  try {
    return new TextDecoder(label)
  } catch {
    return undefined
  }
}

function charsetIn(text: string | undefined): string | undefined {
  return text?.match(/charset\s{0,9}=\s{0,9}["']?([\w.:-]{1,40})/i)?.[1]
}

function declared(body: Buffer): string | undefined {
  const head = body.toString('latin1', 0, PRESCAN_BYTES)
  const label = head.match(/<\?xml[^>]{0,200}encoding=["']([\w.:-]{1,40})/i)?.[1]
  const meta = head.match(/<meta[^>]{0,500}charset\s{0,9}=\s{0,9}["']?([\w.:-]{1,40})/i)?.[1]
  const found = label ?? meta
  // A page in UTF-16 could not be read up to here.
  return found !== undefined && /^utf-?16/i.test(found) ? 'utf-8' : found
}
