// Serves SNS and SQS on loopback alone: node fauxqs.mjs FOLDER_OF_NODE_MODULES PORT
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const [folder, port] = process.argv.slice(2);
const { buildApp } = await import(pathToFileURL(join(folder, "node_modules/fauxqs/dist/app.js")));
await buildApp({ logger: false }).listen({ host: "127.0.0.1", port: Number(port) });
