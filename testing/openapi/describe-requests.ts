import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { SchemaCollection } from './collect-schemas.ts'
import type { Requests } from './operations.ts'
import type { Documents, Node, Place } from './resolve-references.ts'

const DEFINITIONS = 'api/server-server/definitions'

/** Returns the schema of an operation's JSON body; undefined if it has none. */
export function describeBody(documents: Documents, schemas: SchemaCollection, at: Place): object | undefined {
  if (!at.node.requestBody) return undefined
  const { file, node } = documents.follow({ file: at.file, node: at.node.requestBody })
  const schema: Node = node.content['application/json']?.schema
  return schema && schemas.take({ file, node: schema })
}

/** Returns the schemas of PDUs and EDUs in transactions, whose own schema only requires objects. */
export function describeCargo(
  root: string,
  documents: Documents,
  schemas: SchemaCollection,
): Omit<Requests, 'operations'> {
  const take = (file: string) => schemas.take({ file, node: documents.read(file) })
  const named = (folder: string, pattern: RegExp) =>
    readdirSync(join(root, folder)).flatMap((name) => {
      const [, key] = pattern.exec(name) ?? []
      return key === undefined ? [] : [[key, take(`${folder}/${name}`)] as const]
    })
  return {
    pdus: Object.fromEntries(named(DEFINITIONS, /^pdu_v(\d+)\.yaml$/)),
    edus: Object.fromEntries(named(`${DEFINITIONS}/event-schemas`, /^(m\..+)\.yaml$/)),
  }
}
