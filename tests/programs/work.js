// Ordinary work of a node program: children, threads, files, timers, hot loops, and its library.
const assert = require('assert');
const { execFileSync } = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');
const { Worker } = require('worker_threads');
const zlib = require('zlib');
assert.deepStrictEqual([3, 1, 2].sort(), [1, 2, 3]);
assert.strictEqual('key=value'.match(/^(\w+)=(?<value>\w+)$/).groups.value, 'value');
assert.strictEqual(execFileSync('sort', { input: 'b\na\n' }).toString(), 'a\nb\n');
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'work-'));
fs.writeFileSync(path.join(directory, 'f'), 'x');
assert.strictEqual(fs.readFileSync(path.join(directory, 'f'), 'utf8'), 'x');
fs.rmSync(directory, { recursive: true });
assert(crypto.createHash('sha256').update('x').digest('hex').startsWith('2d711642'));
assert.strictEqual(zlib.gunzipSync(zlib.gzipSync('x')).toString(), 'x');
// Long enough that the compiler looks at it.
let sum = 0;
for (let i = 0; i < 3e6; i += 1) sum = (sum + i * i) % 1000003;
assert(sum > 0);
assert(new WebAssembly.Memory({ initial: 1 }).buffer.byteLength === 65536);
const worker = new Worker('require("worker_threads").parentPort.postMessage(6 * 7)', { eval: true });
worker.on('message', (said) => {
  assert.strictEqual(said, 42);
  setTimeout(() => fs.readFile('/etc/localtime', () => console.log('works')), 5);
});
