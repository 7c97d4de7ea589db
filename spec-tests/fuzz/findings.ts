import type { FuzzRequest } from './request-draft.ts'

/** Something that must not be: what, where, and the request that did it, if one did. */
export type Finding = {
  /** Findings of one kind are counted, and told once. */
  kind: string
  detail: string
  request?: FuzzRequest
  /** Where in the run. */
  at?: string
}

export type Findings = {
  /** Whether it is the first of its kind. */
  add(finding: Finding): boolean
  /** Adds to what is known about a kind. */
  explain(kind: string, text: string): void
  /** How many kinds there are. */
  count(): number
  report(): string
}

const SHOWN = 2_500

/** `log`: told of the first finding of each kind at once. */
export function createFindings(log: (line: string) => void): Findings {
  const found = new Map<string, { text: string; count: number }>()
  return {
    add(finding) {
      const known = found.get(finding.kind)
      if (known) known.count++
      else {
        const text = describe(finding)
        found.set(finding.kind, { text, count: 1 })
        log(`FINDING ${text}`)
      }
      return known === undefined
    },
    explain(kind, text) {
      found.get(kind)!.text += `\n  ${text.slice(0, SHOWN)}`
      log(`  of ${kind}: ${text.slice(0, SHOWN)}`)
    },
    count: () => found.size,
    report: () => [...found.values()].map(({ text, count }) => `${count} × ${text}`).join('\n\n'),
  }
}

function describe({ kind, detail, request, at }: Finding): string {
  return [kind, at && `  at ${at}`, request && describeRequest(request), `  ${detail.slice(0, SHOWN)}`]
    .filter((line) => line !== undefined)
    .join('\n')
}

/** A request as text; a body that is no text in base64. */
function describeRequest({ method, path, headers, body, by }: FuzzRequest): string {
  const text = body === undefined ? '' : typeof body === 'string' ? body : `base64 ${body.toString('base64')}`
  const { authorization: _, ...shown } = headers
  return [`  by ${by}: ${method} ${path}`, `  headers ${JSON.stringify(shown)}`, `  body ${text}`].map(cut).join('\n')
}

function cut(line: string): string {
  return line.length > SHOWN ? `${line.slice(0, SHOWN)}… (${line.length} characters)` : line
}
