import { readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { parse } from 'yaml'

/** A node of a YAML document. */
// biome-ignore lint/suspicious/noExplicitAny: documents of every shape
export type Node = any
/** A node, and the file relative to the root to which its references are relative. */
export type Place = { file: string; node: Node }

export type Documents = {
  read(file: string): Node
  /** Returns the place that a reference names. */
  resolve(file: string, reference: string): Place & { name: string }
  /** Returns the node itself, or the end of its references. */
  follow(place: Place): Place
}

/** Opens the YAML documents below a folder; each is read once. */
export function openDocuments(root: string): Documents {
  const known = new Map<string, Node>()
  function read(file: string): Node {
    if (!known.has(file)) known.set(file, parse(readFileSync(join(root, file), 'utf8')))
    return known.get(file)
  }
  function resolve(from: string, reference: string): Place & { name: string } {
    const [path = '', pointer = ''] = reference.trim().split('#')
    const file = path === '' ? from : normalize(join(dirname(from), path))
    const steps = pointer.split('/').slice(1)
    const node = steps.reduce((current, step) => current[step], read(file))
    const words = file.replace(/\.yaml$/, '').split('/')
    return { file, node, name: [...words, ...steps].join('.') }
  }
  function follow(place: Place): Place {
    const reference: string | undefined = place.node.$ref
    return reference === undefined ? place : follow(resolve(place.file, reference))
  }
  return { read, resolve, follow }
}
