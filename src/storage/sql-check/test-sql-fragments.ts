import {
  type CallExpression,
  type ConditionalExpression,
  type Expression,
  type FunctionDeclaration,
  type Node,
  type ParameterDeclaration,
  SyntaxKind,
  type TaggedTemplateExpression,
  type VariableDeclaration,
} from 'typescript/unstable/ast'
import * as is from 'typescript/unstable/ast/is'
import type { Type } from 'typescript/unstable/sync'
import type { TypedSources } from './test-typescript.ts'

/** A piece of a statement: text, or the type of a parameter. */
export type Piece = string | Type

/** Reads fragments of SQL out of the source. */
export type Reading = {
  sources: TypedSources
  /** Chooses one of `count` alternatives that the code selects at run time. */
  choose(key: string, count: number): number
  /** Keys of the templates that were read. */
  read: Set<string>
}

/** The arguments of functions while their bodies are read. */
type Arguments = ReadonlyMap<string, Meaning>
type Meaning = readonly [written: Expression, args: Arguments]

export const NO_ARGUMENTS: Arguments = new Map()

/** The text is unknown before the code runs. */
export class UnknownText extends Error {
  readonly node: Node

  constructor(node: Node, reason: string) {
    super(reason)
    this.node = node
  }
}

/** Names a place in the source. */
export function keyOf(node: Node): string {
  return `${node.getSourceFile().fileName}:${node.pos}:${node.end}`
}

export function nodesIn(root: Node): Node[] {
  const found: Node[] = []
  const visit = (node: Node): void => {
    found.push(node)
    node.forEachChild(visit)
  }
  visit(root)
  return found
}

export function isSqlTemplate(node: Node): node is TaggedTemplateExpression {
  return is.isTaggedTemplateExpression(node) && node.tag.getText() === 'sql'
}

/** Whether a value is SQL rather than a parameter. */
export function isFragment(type: Type | undefined): boolean {
  if (type?.isUnionType()) return type.getTypes().some(isFragment)
  return type?.getSymbol()?.name === 'RawBuilder'
}

/** Returns the pieces of a fragment: of a template, or of an expression that returns one. Throws `UnknownText`. */
export function readFragment(reading: Reading, node: Expression, args: Arguments): Piece[] {
  if (isSqlTemplate(node)) return readTemplate(reading, node, args)
  if (is.isParenthesizedExpression(node)) return readFragment(reading, node.expression, args)
  if (is.isConditionalExpression(node)) return readFragment(reading, alternative(reading, node), args)
  if (is.isIdentifier(node)) return readFragment(reading, ...meaningOf(reading, node, args))
  if (!is.isCallExpression(node)) throw new UnknownText(node, `cannot read ${SyntaxKind[node.kind]}`)
  const { expression: callee } = node
  const isKysely = is.isPropertyAccessExpression(callee) && callee.expression.getText() === 'sql'
  return isKysely ? readCallOfSql(reading, callee.name.getText(), [node, args]) : readCall(reading, node, args)
}

function readTemplate(reading: Reading, node: TaggedTemplateExpression, args: Arguments): Piece[] {
  reading.read.add(keyOf(node))
  const { template } = node
  if (!is.isTemplateExpression(template)) return [template.text]
  const types = reading.sources.checker.getTypeAtLocation(template.templateSpans.map((span) => span.expression))
  const spans = template.templateSpans.flatMap(({ expression, literal }, place): Piece[] => [
    ...(isFragment(types[place]) ? readFragment(reading, expression, args) : [types[place]!]),
    literal.text,
  ])
  return [template.head.text, ...spans]
}

/** `sql.join(…)` and the like. */
function readCallOfSql(
  reading: Reading,
  method: string,
  [{ arguments: given }, args]: readonly [CallExpression, Arguments],
): Piece[] {
  const [first, second] = given
  if (method === 'raw') return [readText(reading, first!, args)]
  if (method === 'join') {
    const separator = second ? readFragment(reading, second, args) : [', ']
    return readList(reading, first!, args).flatMap((item, place) => (place === 0 ? item : [...separator, ...item]))
  }
  if (!['id', 'ref', 'table'].includes(method)) throw new UnknownText(first!, `cannot read sql.${method}`)
  const path = given.flatMap((part) => readText(reading, part, args).split('.'))
  return [path.map((name) => `"${name}"`).join('.')]
}

/** A list of fragments. A list mapped from another list is assumed to have two elements. */
function readList(reading: Reading, node: Expression, args: Arguments): Piece[][] {
  if (is.isParenthesizedExpression(node)) return readList(reading, node.expression, args)
  if (is.isConditionalExpression(node)) return readList(reading, alternative(reading, node), args)
  if (is.isIdentifier(node)) return readList(reading, ...meaningOf(reading, node, args))
  if (is.isArrayLiteralExpression(node)) {
    return node.elements.flatMap((element) =>
      is.isSpreadElement(element)
        ? readList(reading, element.expression, args)
        : [readFragment(reading, element, args)],
    )
  }
  const mapper = is.isCallExpression(node) && /\.map$/.test(node.expression.getText()) ? node.arguments[0] : undefined
  if (!mapper || !is.isArrowFunction(mapper) || is.isBlock(mapper.body)) {
    throw new UnknownText(node, `cannot read a list of ${SyntaxKind[node.kind]}`)
  }
  const item = readFragment(reading, mapper.body, args)
  return [item, item]
}

/** Text that the code inserts into a statement itself. */
function readText(reading: Reading, node: Expression, args: Arguments): string {
  if (is.isStringLiteral(node) || is.isNoSubstitutionTemplateLiteral(node) || is.isNumericLiteral(node))
    return node.text
  if (is.isConditionalExpression(node)) return readText(reading, alternative(reading, node), args)
  if (is.isIdentifier(node)) return readText(reading, ...meaningOf(reading, node, args))
  if (!is.isTemplateExpression(node)) throw new UnknownText(node, `${node.getText()} is not known before it runs`)
  const spans = node.templateSpans.map(({ expression, literal }) => readText(reading, expression, args) + literal.text)
  return node.head.text + spans.join('')
}

function alternative(reading: Reading, { condition, whenTrue, whenFalse }: ConditionalExpression): Expression {
  return reading.choose(conditionKey(condition), 2) === 0 ? whenTrue : whenFalse
}

/** A condition has the same value everywhere in a function. */
function conditionKey(condition: Node): string {
  return `${keyOf(functionAround(condition))} ${condition.getText()}`
}

function functionAround(node: Node): Node {
  let around = node.parent
  while (!is.isFunctionDeclaration(around) && !is.isSourceFile(around)) around = around.parent
  return around
}

function meaningOf(reading: Reading, name: Node, args: Arguments): Meaning {
  const declaration = reading.sources.declarationOf(name)
  const given = declaration && args.get(keyOf(declaration))
  if (given) return given
  if (declaration && is.isVariableDeclaration(declaration)) return [assignedTo(reading, declaration), args]
  if (declaration && is.isParameterDeclaration(declaration)) return [argumentFor(reading, declaration), NO_ARGUMENTS]
  throw new UnknownText(name, `${name.getText()} is not known before it runs`)
}

/** One of the values that a variable takes. */
function assignedTo(reading: Reading, variable: VariableDeclaration): Expression {
  const name = variable.name.getText()
  const assigned = nodesIn(functionAround(variable)).flatMap((node) =>
    is.isBinaryExpression(node) && node.operatorToken.kind === SyntaxKind.EqualsToken && node.left.getText() === name
      ? [node.right]
      : [],
  )
  return oneOf(reading, variable, [variable.initializer, ...assigned])
}

/** The argument that one of the callers gives. */
function argumentFor(reading: Reading, parameter: ParameterDeclaration): Expression {
  const callee = parameter.parent as FunctionDeclaration
  const place = callee.parameters.indexOf(parameter)
  const calls = callsOf(reading, callee)
  return oneOf(
    reading,
    parameter,
    calls.map((call) => call.arguments[place] ?? parameter.initializer),
  )
}

function oneOf(reading: Reading, node: Node, values: readonly (Expression | undefined)[]): Expression {
  const known = values.filter((value) => value !== undefined)
  if (known.length === 0) throw new UnknownText(node, `nothing gives ${node.getText()} a value`)
  return known[reading.choose(keyOf(node), known.length)]!
}

/** The calls of a function in its own file: functions that take fragments are not exported. */
function callsOf(reading: Reading, callee: FunctionDeclaration): CallExpression[] {
  const name = callee.name?.getText()
  return nodesIn(callee.getSourceFile())
    .filter(is.isCallExpression)
    .filter(({ expression }) => expression.getText() === name && reading.sources.declarationOf(expression) === callee)
}

/** The fragment that a function of ours returns. */
function readCall(reading: Reading, call: CallExpression, args: Arguments): Piece[] {
  const declaration = reading.sources.declarationOf(call.expression)
  const callee = declaration && is.isVariableDeclaration(declaration) ? declaration.initializer : declaration
  if (!callee || !(is.isFunctionDeclaration(callee) || is.isArrowFunction(callee)) || !callee.body) {
    throw new UnknownText(call, `cannot find the function ${call.expression.getText()}`)
  }
  const inner = new Map(args)
  for (const [place, parameter] of callee.parameters.entries()) {
    const given = call.arguments[place]
    if (given) inner.set(keyOf(parameter), [given, args])
    else if (parameter.initializer) inner.set(keyOf(parameter), [parameter.initializer, inner])
  }
  const pieces = is.isBlock(callee.body)
    ? readReturned(reading, callee.body, inner)
    : readFragment(reading, callee.body, inner)
  if (!pieces) throw new UnknownText(call, `cannot find what ${call.expression.getText()} returns`)
  return pieces
}

function readReturned(reading: Reading, node: Node, args: Arguments): Piece[] | undefined {
  if (is.isReturnStatement(node) && node.expression) return readFragment(reading, node.expression, args)
  if (is.isIfStatement(node)) {
    const branch = reading.choose(conditionKey(node.expression), 2) === 0 ? node.thenStatement : node.elseStatement
    return branch && readReturned(reading, branch, args)
  }
  if (!is.isBlock(node)) return undefined
  for (const statement of node.statements) {
    const pieces = readReturned(reading, statement, args)
    if (pieces) return pieces
  }
  return undefined
}
