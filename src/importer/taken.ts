/** What of a checkpoint goes into a graph: tensors by name, each of the shape that the config asks for, and none left over. */

import { product } from '../runtime/onnx/initializer.ts';
import { stored, type Matrix } from './matrix.ts';
import type { TensorSource } from './safetensors.ts';

interface Taking {
  /** A tensor of the checkpoint; one dim is a column, and those behind the second are parts of it. Throws if there is none of this name and shape. */
  readonly take: (name: string, ...shape: readonly number[]) => Matrix;
  /** Throws if the checkpoint holds a tensor that was not taken and is not among the `redundant` ones. */
  readonly checkAllTaken: (family: string, redundant: RegExp) => void;
}

export function takingFrom(source: TensorSource): Taking {
  const taken = new Set<string>();
  return {
    take(name, ...shape) {
      taken.add(name);
      const found = source.shape(name);
      if (found.join() !== shape.join())
        throw new Error(
          `tensor ${name} is [${found.join(', ')}]; the config asks for [${shape.join(', ')}]`,
        );
      const [rows = 1, ...columns] = shape;
      return stored(source, name, rows, product(columns));
    },
    checkAllTaken(family, redundant) {
      const stray = source.names.find((name) => !taken.has(name) && !redundant.test(name));
      if (stray !== undefined) throw new Error(`tensor ${stray} has no place in a ${family}`);
    },
  };
}
