/**
 * Returns the text of a JSON object without one member of it, everything else byte for byte: numbers that JavaScript
 * cannot represent stay what they are. The text is valid JSON.
 */
export function withoutMember(text: string, name: string): string {
  const quoted = JSON.stringify(name)
  if (!text.includes(quoted)) return text
  let depth = 0
  /** Where the present member begins, after the brace or comma before it. */
  let start = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '"') {
      const end = endOfString(text, at)
      if (depth === 1 && text.slice(at, end) === quoted && isKey(text, end)) return cut(text, start, end)
      at = end - 1
    } else if (character === '{' || character === '[') {
      depth++
      if (depth === 1) start = at + 1
    } else if (character === '}' || character === ']') depth--
    else if (character === ',' && depth === 1) start = at + 1
  }
  return text
}

/** The place after a string that begins at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at + 1
}

function isKey(text: string, at: number): boolean {
  let place = at
  while (' \n\r\t'.includes(text[place]!)) place++
  return text[place] === ':'
}

/** `start`: after the brace or comma before the member; `from`: within it. */
function cut(text: string, start: number, from: number): string {
  let depth = 0
  let at = from
  for (; at < text.length; at++) {
    const character = text[at]
    if (character === '"') at = endOfString(text, at) - 1
    else if (character === '{' || character === '[') depth++
    else if (depth === 0 && (character === ',' || character === '}')) break
    else if (character === '}' || character === ']') depth--
  }
  if (text[at] === ',') return text.slice(0, start) + text.slice(at + 1)
  const before = text[start - 1] === ',' ? start - 1 : start
  return text.slice(0, before) + text.slice(at)
}
