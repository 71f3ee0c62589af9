// Starts `trxc lsp` and hands its answers to the editor. Everything that is known of the language is the server's.

"use strict";

const vscode = require("vscode");
const { LanguageClient, TransportKind } = require("vscode-languageclient/node");

/** @type {LanguageClient | undefined} */
let client;

/** The command that starts the server, as the settings have it. */
function serverOptions() {
  const words = vscode.workspace.getConfiguration("trx").get("server.command");
  const [command, ...args] = Array.isArray(words) && words.length > 0 ? words.map(String) : ["trxc", "lsp"];
  return { command, args, transport: TransportKind.stdio };
}

async function start() {
  const options = {
    documentSelector: [
      { scheme: "file", language: "trx" },
      { scheme: "untitled", language: "trx" },
    ],
    synchronize: { fileEvents: vscode.workspace.createFileSystemWatcher("**/*.trx") },
  };
  client = new LanguageClient("trx", "trx", serverOptions(), options);
  try {
    await client.start();
  } catch (error) {
    const { command } = serverOptions();
    const change = "Open settings";
    const answer = await vscode.window.showErrorMessage(
      `\`${command}\` could not be started: ${error.message ?? error}. ` +
        "`pip install \"trxc[lsp]\"` brings the language server; the setting `trx.server.command` says where it is.",
      change,
    );
    if (answer === change) {
      await vscode.commands.executeCommand("workbench.action.openSettings", "trx.server.command");
    }
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running !== undefined && running.needsStop()) {
    await running.stop();
  }
}

/** @param {vscode.ExtensionContext} context */
async function activate(context) {
  const restart = async () => {
    await stop();
    await start();
  };
  context.subscriptions.push(
    vscode.commands.registerCommand("trx.restart", restart),
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      if (event.affectsConfiguration("trx.server.command")) {
        await restart();
      }
    }),
  );
  await start();
}

module.exports = { activate, deactivate: stop };
