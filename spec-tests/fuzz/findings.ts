import type { FuzzRequest } from './request-draft.ts'

/** A fault: what, where, and the request that caused it, if any. */
export type Finding = {
  /** Findings of one kind are counted, and reported once. */
  kind: string
  detail: string
  request?: FuzzRequest
  /** Where in the run. */
  at?: string
}

export type Findings = {
  /** Whether it is the first of its kind. */
  add(finding: Finding): boolean
  /** Adds details to a kind. */
  explain(kind: string, text: string): void
  /** Returns the number of kinds. */
  count(): number
  report(): string
}

const SHOWN = 2_500

/** `log` receives the first finding of each kind immediately. */
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

/** Formats a request as text; a binary body in Base64. */
function describeRequest({ method, path, headers, body, by }: FuzzRequest): string {
  const text = body === undefined ? '' : typeof body === 'string' ? body : `base64 ${body.toString('base64')}`
  const { authorization: _, ...shown } = headers
  return [`  by ${by}: ${method} ${path}`, `  headers ${JSON.stringify(shown)}`, `  body ${text}`].map(cut).join('\n')
}

function cut(line: string): string {
  return line.length > SHOWN ? `${line.slice(0, SHOWN)}… (${line.length} characters)` : line
}
