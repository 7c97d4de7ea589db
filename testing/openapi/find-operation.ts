import { APIS, loadOperations, type Operation } from './operations.ts'

type Pattern = { operation: Operation; pattern: RegExp; fixed: number }

let byMethod: Map<string, Pattern[]> | undefined

/**
 * Finds the operation of a request: the one with the most fixed segments if several templates match. `path` may have a
 * query.
 */
export function findOperation(method: string, path: string): Operation | undefined {
  byMethod ??= groupPatterns()
  const [plain = ''] = path.split('?')
  // r0 is the former name of v3.
  const current = plain.replace(/^(\/_matrix\/(?:client|media))\/r0\//, '$1/v3/')
  return byMethod.get(method)?.find(({ pattern }) => pattern.test(current))?.operation
}

function groupPatterns(): Map<string, Pattern[]> {
  const groups = new Map<string, Pattern[]>()
  for (const operation of APIS.flatMap(loadOperations)) {
    const segments = operation.path.replace(/\/$/, '').split('/')
    const open = segments.filter((segment) => segment.startsWith('{'))
    const source = segments.map((segment) => (open.includes(segment) ? '[^/]+' : segment.replaceAll('.', '\\.')))
    const group = groups.get(operation.method) ?? []
    group.push({ operation, pattern: new RegExp(`^${source.join('/')}/?$`), fixed: segments.length - open.length })
    groups.set(operation.method, group)
  }
  for (const group of groups.values()) group.sort((a, b) => b.fixed - a.fixed)
  return groups
}
