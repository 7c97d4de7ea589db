import { homedir } from 'node:os'
import { join } from 'node:path'

/** The build folder of cargo, outside the repository. */
export const ELEMENT_X_TARGET = process.env.CARGO_TARGET_DIR ?? join(homedir(), '.cache', 'hearth-element-x')
/** The program in rust/. */
export const ELEMENT_X = join(ELEMENT_X_TARGET, 'debug', 'element-x')
