// Runs `wasm.rs`: node wasm.mjs FILE. Prints its output, and the size of the static memory above the stack.
import { readFileSync } from "node:fs";

const STACK = 16384;
let said = "";
const put = (byte) => (said += String.fromCharCode(byte));
// Fails if the program imports more than `put`, such as the undefined function of the panic handler.
const module = await WebAssembly.instantiate(readFileSync(process.argv[2]), { board: { put } });
const { main, __heap_base } = module.instance.exports;
const learned = main();
console.log(`${said}ram ${__heap_base.value - STACK}`);
process.exit(learned ? 0 : 1);
