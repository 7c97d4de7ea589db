import { dirname, join, normalize } from 'node:path'
import { parseSync, Visitor } from 'rolldown/utils'

/** Files by path, relative to the repository. */
export type Sources = ReadonlyMap<string, string>
type Import = { target: string; typeOnly: boolean }
type Parsed = ReturnType<typeof parseSync>
type Program = Parsed['program']
type Span = { start: number; end: number }

/**
 * Each subfolder imports only from those before it; '' means files directly in the folder. A subfolder that is not
 * listed is a breach.
 */
const ORDER: Readonly<Record<string, readonly string[]>> = {
  src: ['core', 'storage', 'infra', 'services', 'api', 'server'],
  'src/core': [
    ...['', 'text', 'json', 'signing', 'events', 'rooms', 'devices'],
    ...['filters', 'auth-rules', 'state-resolution', 'push-rules', 'figures'],
  ],
  'src/storage': [
    ...['schema', 'engine', 'jobs', 'users', 'appservices', 'federation', 'rooms', 'media', 'presence', 'sync'],
    ...['devices', 'lookup', 'push', 'search', 'sign-in', 'oauth', 'rtc', 'mas', 'figures', 'import', 'backup'],
  ],
  'src/storage/rooms': ['timeline', 'membership', '', 'removal'],
  'src/infra': [
    ...['figures', '', 'concurrency', 'http', 'mail', 'users', 'sign-in', 'object-store', 'media', 'federation'],
    ...['synapse'],
  ],
  'src/services': [
    ...['users', 'devices', 'media', 'rooms', 'federation', 'lookup', 'membership', 'push', 'appservices'],
    ...['presence', 'search', 'sign-in', 'oauth', 'sync', 'rtc', 'figures', 'backup', 'jobs', 'import'],
  ],
  'src/services/media': ['', 'moderation'],
  'src/services/users': ['mail', '', 'settings', 'registration', 'administration'],
  'src/services/rooms': [
    ...[
      'timeline',
      'access',
      'reading',
      'directory',
      'membership',
      'sending',
      'lifecycle',
      'delayed',
      'administration',
    ],
  ],
  'src/services/membership': ['', 'deletion'],
  'src/services/federation': ['trust', 'requests', 'outbound', 'serving', 'inbound', 'joining'],
  'src/services/sync': ['waiting', 'answers', 'sections', 'v3', 'sliding'],
  'src/api': ['http', 'well-known', 'media', 'client', 'federation', 'oauth', 'admin', 'pages', ''],
  'src/api/client': ['users', 'devices', 'push', 'presence', 'search', 'appservices', 'rtc', 'rooms', 'sync', ''],
  'src/api/admin': ['', 'mas', 'users', 'rooms', 'media', 'federation', 'server'],
  'src/api/pages': ['texts', '', 'fallback', 'mail', 'sign-in', 'registration', 'oauth', 'account', 'admin'],
  'src/cli': ['', 'admin', 'doctor'],
}
/** Files of src that are in no layer's folder. */
const BESIDE: Readonly<Record<string, string>> = {
  'server.ts': 'server',
  'open-app.ts': 'server',
  'build-app.ts': 'server',
  'main.js': 'server',
  'cli.ts': 'server',
  cli: 'server',
  'config.ts': 'config',
  config: 'config',
  'app.ts': 'app',
}
/** Only tests import from these. */
const TEST_FOLDERS = ['testing/', 'spec-tests/', 'bench/']
const CORE_PACKAGES = ['libsodium-wrappers', 'sodium-native', 'tweetnacl', 'zod']
const CORE_BUILTINS = ['node:buffer', 'node:crypto', 'node:util']
const MAX_LINES = 500
/** All texts of the pages in one language are in one file, for translators. */
const PAGE_TEXTS = 'src/api/pages/texts/'
const MAX_TEXT_LINES = 1500
const MAX_FUNCTION_LINES = 60
const MAX_FILES = 40
const BANNED_NAMES = /(^|[/.-])(utils?|helpers?|common|misc)([/.-]|$)/i
const TIMELESS = ['core', 'storage', 'services']
const STATELESS = ['storage', 'services']
const UNTIMELY = /\bDate\.now\b|\bnew Date\(\s*\)|\bMath\.random\b|\bperformance\.now\b/
const RANDOM = /\b(randomBytes|randomUUID|randomInt|randomFill|randomFillSync|getRandomValues)\b/

/** Returns every breach of the rules, as a line that names the file. */
export function violations(files: Sources): string[] {
  const program = new Map([...files].filter(([file]) => file.startsWith('src/') && !isTest(file)))
  const tests = [...files].filter(([file]) => !program.has(file))
  const parsed = new Map([...program].map(([file, text]) => [file, parse(file, text)] as const))
  const imports = new Map([...parsed].map(([file, each]) => [file, importsOf(file, program.get(file)!, each)] as const))
  return [
    ...[...files].flatMap(([file, text]) => nameAndSize(file, text)),
    ...[...program.keys()].flatMap(misplaced),
    ...[...imports].flatMap(([file, found]) => forbiddenImports(file, found)),
    ...tests.flatMap(([file, text]) => forbiddenImports(file, importsOf(file, text, parse(file, text)))),
    ...[...parsed].flatMap(([file, each]) => forbiddenCalls(file, program.get(file)!, each)),
    ...[...parsed].flatMap(([file, { program: code }]) => longFunctions(file, program.get(file)!, code)),
    ...[...parsed].flatMap(([file, { program: code }]) =>
      STATELESS.includes(layerOf(file) ?? '') ? state(file, code) : [],
    ),
    ...fullFolders([...program.keys()]),
    ...namesakes(parsed),
    ...circles(imports),
  ]
}

/** Returns whether a file of `src` is a test, or only tests may import it. */
function isTest(file: string): boolean {
  return file.endsWith('.test.ts') || file.startsWith('src/testing/') || /\/test-[^/]*\.ts$/.test(file)
}

function parse(file: string, text: string): Parsed {
  const parsed = parseSync(file, text)
  if (parsed.errors.length > 0) throw new Error(`${file}: ${parsed.errors[0]!.message}`)
  return parsed
}

function nameAndSize(file: string, text: string): string[] {
  const lines = text.trimEnd().split('\n').length
  const most = file.startsWith(PAGE_TEXTS) ? MAX_TEXT_LINES : MAX_LINES
  return [
    ...(BANNED_NAMES.test(file) ? [`${file}: is named after no thing in particular`] : []),
    ...(lines > most ? [`${file}: has ${lines} lines, more than ${most}`] : []),
  ]
}

/** The layer of a file, or undefined. The composition root and the commands are the last layer. */
function layerOf(file: string): string | undefined {
  const name = file.split('/')[1] ?? ''
  return BESIDE[name] ?? ORDER.src!.find((layer) => layer === name && layer !== 'server')
}

function misplaced(file: string): string[] {
  if (layerOf(file) === undefined) return [`${file}: is in no layer`]
  const folders = file.split('/').slice(0, -1)
  for (let depth = 2; depth <= folders.length; depth++) {
    const parent = folders.slice(0, depth).join('/')
    const folder = folders[depth] ?? ''
    const known = ORDER[parent] ?? ['']
    if (!known.includes(folder)) return [`${file}: is in no folder of the order of ${parent}`]
  }
  return []
}

function forbiddenImports(file: string, imports: readonly Import[]): string[] {
  return imports.flatMap(({ target, typeOnly }) =>
    mayImport(file, target, typeOnly) ? [] : [`${file}: may not import ${target}`],
  )
}

function mayImport(file: string, target: string, typeOnly: boolean): boolean {
  const [from, to] = [layerOf(file), layerOf(target)]
  if (!file.startsWith('src/') || isTest(file)) return mayTestImport(file, target)
  if (isTest(target) || TEST_FOLDERS.some((folder) => target.startsWith(folder))) return false
  if (!target.startsWith('src/')) return from !== 'core' || mayUseInCore(target)
  if (from === to) return isInOrder(file, target)
  if (from === 'server') return true
  if (from === 'config') return to === 'core'
  if (to === 'config') return typeOnly && from !== 'core'
  if (to === 'app') return typeOnly && (from === 'services' || from === 'api')
  if (from === 'app') return typeOnly || to === 'core'
  return to !== undefined && ORDER.src!.indexOf(to) < ORDER.src!.indexOf(from ?? '')
}

/**
 * `testing/` imports none of our code, so that both kinds of tests can use it. Unit tests and black-box tests do not
 * import each other, and black-box tests nothing of the program.
 */
function mayTestImport(file: string, target: string): boolean {
  const folder = file.split('/')[0]!
  const forbidden: Record<string, RegExp> = {
    testing: /^(src|spec-tests|bench)\//,
    'spec-tests': /^(src|bench)\//,
    src: /^(spec-tests|bench)\//,
  }
  return !forbidden[folder]?.test(target)
}

/** Whether the order of the deepest folder that holds both files allows the import. */
function isInOrder(file: string, target: string): boolean {
  const [from, to] = [file.split('/'), target.split('/')]
  let depth = 0
  while (from[depth] === to[depth] && depth < Math.min(from.length, to.length) - 1) depth++
  const order = ORDER[from.slice(0, depth).join('/')]
  const placeOf = (path: string[]) => order?.indexOf(path.length === depth + 1 ? '' : path[depth]!) ?? 0
  return depth === 1 || placeOf(to) <= placeOf(from)
}

function mayUseInCore(target: string): boolean {
  return target.startsWith('node:') ? CORE_BUILTINS.includes(target) : CORE_PACKAGES.includes(target)
}

function forbiddenCalls(file: string, text: string, { comments }: Parsed): string[] {
  const code = comments.reduceRight((rest, { start, end }) => `${rest.slice(0, start)} ${rest.slice(end)}`, text)
  const layer = layerOf(file) ?? ''
  return [
    ...(layer !== 'config' && /\bprocess\.env\b|\bprocess\[/.test(code) ? [`${file}: reads process.env`] : []),
    ...(TIMELESS.includes(layer) && UNTIMELY.test(code)
      ? [`${file}: asks for the time or for randomness; use app.clock or app.random`]
      : []),
    ...(layer === 'core' && RANDOM.test(code) ? [`${file}: is core, but random`] : []),
  ]
}

function longFunctions(file: string, text: string, program: Program): string[] {
  const found: string[] = []
  const names = new Map<number, string>()
  const measure = (node: Span & { id?: { name: string } | null }) => {
    const lines = text.slice(node.start, node.end).split('\n').length
    const name = node.id?.name ?? names.get(node.start) ?? 'a function'
    if (lines > MAX_FUNCTION_LINES) found.push(`${file}: ${name} has more than ${MAX_FUNCTION_LINES} lines`)
  }
  new Visitor({
    VariableDeclarator({ id, init }) {
      if (init && id.type === 'Identifier') names.set(init.start, id.name)
    },
    FunctionDeclaration: measure,
    FunctionExpression: measure,
    ArrowFunctionExpression: measure,
  }).visit(program)
  return found
}

/** Returns the module-level state of a file: variables, and collections that start empty. */
function state(file: string, program: Program): string[] {
  return program.body.flatMap((statement) => {
    const node = statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement
    if (node?.type !== 'VariableDeclaration') return []
    return node.declarations.flatMap(({ id, init }) => {
      if (id.type !== 'Identifier') return []
      const type = id.typeAnnotation?.typeAnnotation
      const isReadonly =
        type?.type === 'TSTypeReference' &&
        type.typeName.type === 'Identifier' &&
        type.typeName.name.startsWith('Readonly')
      const isFilled =
        init?.type === 'NewExpression' &&
        init.callee.type === 'Identifier' &&
        ((['Map', 'Set'].includes(init.callee.name) && (init.arguments.length > 0 || isReadonly)) ||
          !/^(Map|Set|WeakMap|WeakSet|LRUCache)$/.test(init.callee.name))
      const isEmptyList = init?.type === 'ArrayExpression' && init.elements.length === 0
      const remembers = node.kind === 'let' || (init?.type === 'NewExpression' && !isFilled) || isEmptyList
      return remembers ? [`${file}: ${id.name} is state of a module; make it a member of App`] : []
    })
  })
}

function fullFolders(files: readonly string[]): string[] {
  const counts = Map.groupBy(files, dirname)
  return [...counts].flatMap(([folder, { length }]) =>
    length > MAX_FILES ? [`${folder}: has ${length} files, more than ${MAX_FILES}`] : [],
  )
}

/** Returns names that two files export. A re-export does not count. */
function namesakes(parsed: ReadonlyMap<string, Parsed>): string[] {
  const exported = [...parsed].flatMap(([file, { module }]) =>
    module.staticExports.flatMap(({ entries }) =>
      entries.flatMap(({ exportName, moduleRequest }) =>
        moduleRequest || exportName.name === null ? [] : { name: exportName.name, file },
      ),
    ),
  )
  return [...Map.groupBy(exported, ({ name }) => name)].flatMap(([name, all]) => {
    const files = [...new Set(all.map(({ file }) => file))]
    return files.length > 1 ? [`${files.join(', ')}: export ${name}, which is two things of one name`] : []
  })
}

/**
 * Returns the files that a file imports, re-exports or loads dynamically; relative paths become paths in the
 * repository.
 */
function importsOf(file: string, text: string, { module, program }: Parsed): Import[] {
  const found: Import[] = []
  const add = (path: string, typeOnly: boolean) =>
    found.push({ target: path.startsWith('.') ? normalize(join(dirname(file), path)) : path, typeOnly })
  const areTypes = (entries: readonly { isType: boolean }[]) =>
    entries.length > 0 && entries.every(({ isType }) => isType)
  for (const { moduleRequest, entries } of module.staticImports) add(moduleRequest.value, areTypes(entries))
  for (const { entries } of module.staticExports) {
    const from = entries[0]?.moduleRequest
    if (from) add(from.value, areTypes(entries))
  }
  for (const { moduleRequest } of module.dynamicImports)
    add(text.slice(moduleRequest.start + 1, moduleRequest.end - 1), false)
  new Visitor({ TSImportType: ({ source }) => void add(source.value, true) }).visit(program)
  return found
}

/** Returns cycles of imports, type imports included. */
function circles(imports: ReadonlyMap<string, readonly Import[]>): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const visit = (file: string, trail: readonly string[]): void => {
    const start = trail.indexOf(file)
    if (start >= 0) found.push(`${[...trail.slice(start), file].join(' → ')}: imports in a circle`)
    if (start >= 0 || done.has(file)) return
    for (const { target } of imports.get(file) ?? []) visit(target, [...trail, file])
    done.add(file)
  }
  for (const file of imports.keys()) visit(file, [])
  return found
}
