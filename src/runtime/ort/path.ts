/** Where onnxruntime-node, which we install for it, keeps ONNX Runtime's shared library. */

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);

/** Where the npm package keeps the shared library of this platform. Throws for a platform it does not ship. */
export function libraryPath(
  platform: string = process.platform,
  arch: string = process.arch,
): string {
  const name = {
    linux: 'libonnxruntime.so.1',
    darwin: 'libonnxruntime.1.dylib',
    win32: 'onnxruntime.dll',
  }[platform];
  const shipped = ['linux x64', 'linux arm64', 'darwin arm64', 'win32 x64', 'win32 arm64'];
  if (name === undefined || !shipped.includes(`${platform} ${arch}`))
    throw new Error(
      `ONNX Runtime is not shipped for ${platform} ${arch}; it is for ${shipped.join(', ')}. ` +
        'Set COXSWAIN_ORT_LIB to a library of your own.',
    );
  const root = dirname(require.resolve('onnxruntime-node/package.json'));
  return join(root, 'bin', 'napi-v6', platform, arch, name);
}
