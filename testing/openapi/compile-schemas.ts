import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'

/**
 * Throws if a value does not match the schema with this key; `schema` is compiled once, undefined allows everything.
 */
export type CheckSchema = (key: string, schema: object | undefined, value: unknown) => void

const DEFINITIONS = 'definitions.json'

/** Returns a check by schemas that refer to these definitions as `#/$defs/…`. */
export function openSchemas($defs: Record<string, object>): CheckSchema {
  const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true })
  ajv.addSchema({ $id: DEFINITIONS, $defs })
  const compiled = new Map<string, ValidateFunction>()
  return (key, schema, value) => {
    if (!schema) return
    const validate = compiled.get(key) ?? ajv.compile(rebased(schema))
    compiled.set(key, validate)
    if (validate(value)) return
    const faults = ajv.errorsText(validate.errors, { dataVar: 'body' })
    throw new Error(`against the schema of ${key}: ${faults}\n${JSON.stringify(value)?.slice(0, 500)}`)
  }
}

function rebased(schema: object): object {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/$defs/', `"${DEFINITIONS}#/$defs/`))
}
