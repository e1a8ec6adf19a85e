// The Unleash server of the tests, configured by its environment; run in the folder where it is installed.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
const require = createRequire(process.cwd() + '/');
const { start } = await import(pathToFileURL(require.resolve('unleash-server')));
await start();
