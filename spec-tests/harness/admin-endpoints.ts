import { readFileSync } from 'node:fs'

/** An endpoint of the generated list: its paths have `:parameters`. */
export type ListedEndpoint = { method: string; paths: string[]; auth: string }

/** Returns the endpoints of docs/endpoints.md. */
export function listEndpoints(): ListedEndpoint[] {
  const text = readFileSync(new URL('../../docs/endpoints.md', import.meta.url), 'utf8')
  const rows = [...text.matchAll(/^\| (GET|POST|PUT|DELETE|PATCH) \| ([^|]+) \| (\w+)/gm)]
  return rows.map(([, method, paths, auth]) => ({
    ...{ method: method!, auth: auth! },
    paths: [...paths!.matchAll(/`([^`]+)`/g)].map(([, path]) => path!),
  }))
}
