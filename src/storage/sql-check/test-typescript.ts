import { join } from 'node:path'
import type { Node, SourceFile } from 'typescript/unstable/ast'
import { API, type Checker } from 'typescript/unstable/sync'

const ROOT = join(import.meta.dirname, '..', '..', '..')
/** Exists only in memory. */
const CONFIG = join(ROOT, 'tsconfig.in-memory.json')
/** `SymbolFlags.Alias`: an imported name. */
const ALIAS = 1 << 21

/** The server's source as the TypeScript compiler understands it. */
export type TypedSources = {
  checker: Checker
  /** The files, without tests, by path relative to the repository. */
  files: ReadonlyMap<string, SourceFile>
  /** Returns the declaration of what a name refers to, in whichever file it is. */
  declarationOf(name: Node): Node | undefined
  close(): void
}

/**
 * Opens `src` with the TypeScript compiler. `planted`: files that exist only in memory, by path; the answer has these
 * alone.
 */
export function openSources(planted?: Readonly<Record<string, string>>): TypedSources {
  const inMemory = new Map(Object.entries(planted ?? {}).map(([path, text]) => [join(ROOT, path), text]))
  const wanted = planted ? { files: [...inMemory.keys()], include: [] } : { include: ['src'] }
  inMemory.set(CONFIG, JSON.stringify({ extends: './tsconfig.json', ...wanted }))
  const api = new API({
    cwd: ROOT,
    fs: { readFile: (path) => inMemory.get(path), fileExists: (path) => inMemory.has(path) || undefined },
  })
  const project = api.updateSnapshot({ openProjects: [CONFIG] }).getProject(CONFIG)!
  const { checker, program } = project
  const names = planted ? wanted.files! : program.getSourceFileNames().filter(isServer)
  return {
    checker,
    files: new Map(names.map((name) => [name.slice(ROOT.length + 1), program.getSourceFile(name)!])),
    declarationOf(name) {
      const symbol = checker.getSymbolAtLocation(name)
      const target = symbol && symbol.flags & ALIAS ? checker.getAliasedSymbol(symbol) : symbol
      return (target?.valueDeclaration ?? target?.declarations[0])?.resolve(project)
    },
    close: () => api.close(),
  }
}

function isServer(file: string): boolean {
  return (
    file.startsWith(join(ROOT, 'src/')) &&
    !/\.test\.ts$|\/test-[^/]*\.ts$|^src\/testing\//.test(file.slice(ROOT.length + 1))
  )
}
