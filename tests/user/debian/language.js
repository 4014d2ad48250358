// Workers, a server and its clients, JSON, regular expressions, child processes and big numbers of Node.js.
const { execSync } = require('child_process');
const http = require('http');
const zlib = require('zlib');
const { Worker } = require('worker_threads');

const worker = `
const { parentPort, workerData } = require('worker_threads');
let sum = 0;
for (let i = 0; i < 300000; i++) {
    sum = (sum * 31 + i * workerData) % 1000003;
}
parentPort.postMessage(sum);`;

function work(number) {
    return new Promise((resolve, reject) =>
        new Worker(worker, { eval: true, workerData: number }).on('message', resolve).on('error', reject));
}

function ask(port, path) {
    return new Promise((resolve, reject) => http.get({ port, path, agent: false }, response => {
        let text = '';
        response.on('data', part => text += part).on('end', () => resolve(JSON.parse(text)));
    }).on('error', reject));
}

async function serve() {
    const server = http.createServer((request, response) =>
        response.end(JSON.stringify({ path: request.url, list: [1, 2.5, null, 'ü'] })));
    await new Promise(resolve => server.listen(0, '127.0.0.1', resolve));
    const paths = Array.from({ length: 8 }, (_, i) => `/${i}`);
    const answers = await Promise.all(paths.map(path => ask(server.address().port, path)));
    console.log('http', answers.map(answer => answer.path + answer.list[3]).join(' '));
    server.close();
}

function expressions() {
    const text = Array.from({ length: 2000 }, (_, i) => `key${i}=value${i * i % 97};`).join('\n');
    let sum = 0;
    for (const match of text.matchAll(/key(?<key>\d+)=value(\d{1,2});$/gm)) {
        sum += Number(match.groups.key) * Number(match[2]);
    }
    console.log('regexp', sum, text.replace(/\d+/g, '').length, /(a+)+b/.test('a'.repeat(18)), /\p{Lu}/u.test('É'));
}

function objects() {
    const tree = depth => depth ? { left: tree(depth - 1), right: tree(depth - 1), depth } : null;
    const text = JSON.stringify(tree(12));
    console.log('json', text.length, JSON.stringify(JSON.parse(text)) === text, zlib.gunzipSync(zlib.gzipSync(text)).length);
    let garbage = [];
    for (let i = 0; i < 200000; i++) {
        garbage.push({ i, text: 'x' + i });
        if (garbage.length > 5000) {
            garbage = garbage.slice(4000);
        }
    }
    console.log('objects', garbage.length);
}

async function main() {
    console.log(process.arch, 2n ** 70n, execSync('echo sub').toString().trim());
    console.log('workers', await Promise.all([1, 2, 3, 4].map(work)));
    await serve();
    expressions();
    objects();
}

main();
