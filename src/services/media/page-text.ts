const PRESCAN_BYTES = 4096
const BOMS: readonly [encoding: string, bytes: number[]][] = [
  ['utf-8', [0xef, 0xbb, 0xbf]],
  ['utf-16le', [0xff, 0xfe]],
  ['utf-16be', [0xfe, 0xff]],
]

/**
 * Decodes a page: its byte order mark counts first, then the header, then what the page itself declares, then UTF-8.
 * Text that is not the UTF-8 that it claims to be is decoded as what the page declares, or as windows-1252.
 */
export function pageText(body: Buffer, contentType: string | undefined): string {
  const bom = decoderFor(BOMS.find(([, bytes]) => bytes.every((byte, place) => body[place] === byte))?.[0])
  if (bom) return bom.decode(body)
  const inPage = declared(body)
  const claimed = decoderFor(charsetIn(contentType)) ?? decoderFor(inPage) ?? new TextDecoder()
  // A page that was cut may end within a character.
  const text = claimed.decode(body, { stream: true })
  if (claimed.encoding !== 'utf-8' || !isMostlyBroken(text)) return text
  const other = decoderFor(inPage)
  return (other && other.encoding !== 'utf-8' ? other : new TextDecoder('windows-1252')).decode(body)
}

/** Whether more characters were replaced than decoded, not counting ASCII: a few broken ones do not change the set. */
function isMostlyBroken(text: string): boolean {
  let broken = 0
  let decoded = 0
  for (let place = 0; place < text.length; place++) {
    const code = text.charCodeAt(place)
    if (code === 0xfffd) broken++
    else if (code > 0x7f) decoded++
  }
  return broken > decoded
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
