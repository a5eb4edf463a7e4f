// @ts-check
// MetaML's extension of JupyterLab and Jupyter Notebook 7: it shows a run again in a page that was loaded again.
//
// A front end gives outputs only to the page that sent their request, so the table of a page that was closed or loaded
// again stands still. Our kernel says in its kernel_info_reply, which every page asks for, which cells it holds and which
// runs they show ("metaml"; docs/internals/kernel.md). For each of these cells that the notebook has, `%metaml attach
// RUN` is executed with that cell's output area: the table moves again where it stood. A kernel that holds nothing, or
// is not ours, is asked nothing.
//
// This is the container of a federated module, as webpack makes one, written by hand: it needs one thing of JupyterLab,
// the token of the open notebooks, and no build. The types are those that are used here.

/**
 * What a cell of the kernel shows.
 * @typedef {{cell_id: string, run: string, interrupt: string, watched: boolean, execution_count: number}} Shown
 *
 * A reply of the kernel, and a request under way.
 * @typedef {{content: {status: string}}} Reply
 * @typedef {{done: Promise<Reply>}} Future
 *
 * @typedef {object} Kernel
 * @property {Promise<{implementation?: string, metaml?: {shown?: Shown[]}}>} info
 * @property {(content: object, disposeOnDone: boolean, metadata: object) => Future} requestExecute
 *
 * @typedef {object} Cell
 * @property {boolean} isDisposed
 * @property {(text: string) => void} setPrompt
 * @property {{id: string, type: string, trusted: boolean, executionCount: number | null, executionState?: string}} model
 * @property {{future: Future | null | undefined, model: {toJSON(): object[], fromJSON(outputs: object[]): void}}} outputArea
 *
 * @typedef {object} Panel
 * @property {boolean} isDisposed
 * @property {{ready: Promise<void>, model: {collaborative?: boolean}}} context
 * @property {{widgets: readonly Cell[]}} content
 * @property {{session: {kernel: Kernel | null} | null, kernelChanged: Signal}} sessionContext
 *
 * @typedef {{connect(slot: (sender: unknown, argument: any) => void): boolean}} Signal
 * @typedef {{widgetAdded: Signal, forEach(visit: (panel: Panel) => void): void}} Tracker
 *
 * Modules that JupyterLab shares, by name and version.
 * @typedef {{[name: string]: {[version: string]: {get(): Promise<() => any>, loaded?: unknown}}}} Shared
 */

(() => {
  /** @type {Shared} */
  let shared = {};

  /** Connections that were looked at: a connection lives as long as its page shows its notebook. */
  const seen = new WeakSet();

  /**
   * A module of JupyterLab's own, the one that is in use.
   * @param {string} name
   * @returns {Promise<any>}
   */
  async function load(name) {
    const versions = Object.values(shared[name] ?? {});
    const version = versions.find(each => each.loaded) ?? versions[0];
    return version ? (await version.get())() : undefined;
  }

  /**
   * Shows again what the kernel of a notebook shows in cells whose pages are gone.
   * @param {Panel} panel
   */
  async function look(panel) {
    const kernel = panel.sessionContext.session?.kernel;
    if (!kernel || seen.has(kernel)) {
      return;
    }
    seen.add(kernel);
    const info = await kernel.info;
    const shown = (info.implementation === 'metaml' && info.metaml?.shown) || [];
    console.debug(`MetaML: this ${info.implementation} shows ${shown.length} runs in cells`);
    if (shown.length === 0) {
      return;
    }
    await panel.context.ready;
    if (panel.isDisposed || panel.sessionContext.session?.kernel !== kernel) {
      console.debug('MetaML: the page has another connection to the kernel by now');
      return;
    }
    for (const one of shown) {
      const cell = panel.content.widgets.find(({ model }) => model.type === 'code' && model.id === one.cell_id);
      // Where people edit together, outputs are shared, and one page shows them to all.
      const elsewhere = panel.context.model.collaborative && one.watched;
      console.debug(`MetaML: ${one.run} is shown in ${cell ? 'a cell of this page' : 'no cell of this page'}`);
      // A cell with a future is shown by this very page.
      if (cell && !cell.outputArea.future && !elsewhere) {
        showAgain(kernel, cell, one);
      }
    }
  }

  /**
   * Executes `%metaml attach RUN` with the output area of a cell.
   * @param {Kernel} kernel
   * @param {Cell} cell
   * @param {Shown} shown
   */
  function showAgain(kernel, cell, shown) {
    const { model, outputArea } = cell;
    const before = outputArea.model.toJSON();
    const future = kernel.requestExecute(
      {
        code: `%metaml attach ${shown.run} --interrupt=${shown.interrupt}`,
        silent: false,
        store_history: false,
        allow_stdin: false,
        // What is queued belongs to the cell itself, which is still in progress.
        stop_on_error: false
      },
      false,
      { cellId: model.id }
    );
    outputArea.future = future; // which clears it
    model.trusted = true; // all that is in it comes from the kernel now
    prompt(cell, true, shown.execution_count);
    future.done
      .then(({ content }) => {
        if (content.status === 'aborted' && !cell.isDisposed) {
          outputArea.model.fromJSON(before);
        }
      })
      .catch(() => {}) // the page leaves, or the kernel has ended, which JupyterLab says itself
      .then(() => cell.isDisposed || prompt(cell, false, shown.execution_count));
  }

  /**
   * Sets what stands before a cell: [*] while it is executed, then its number.
   * @param {Cell} cell
   * @param {boolean} running
   * @param {number} count
   */
  function prompt(cell, running, count) {
    if (!running) {
      cell.model.executionCount = count || null;
    }
    if (cell.model.executionState !== undefined) {
      cell.model.executionState = running ? 'running' : 'idle';
    } else if (running) {
      cell.setPrompt('*'); // before JupyterLab 4.3
    }
  }

  /** @param {Panel} panel */
  function follow(panel) {
    const tell = (/** @type {unknown} */ error) => console.error('MetaML cannot show a run again:', error);
    panel.sessionContext.kernelChanged.connect(() => void look(panel).catch(tell));
    look(panel).catch(tell);
  }

  /** The plugin, once JupyterLab has told which modules it shares. */
  async function extension() {
    const notebook = await load('@jupyterlab/notebook');
    return {
      __esModule: true,
      default: {
        id: 'metaml:runs',
        description: 'Shows the run under a cell again when its page was loaded again.',
        autoStart: true,
        // Optional: some pages of Notebook 7 have no notebooks.
        optional: notebook ? [notebook.INotebookTracker] : [],
        activate: (/** @type {unknown} */ _, /** @type {Tracker | null | undefined} */ tracker) => {
          tracker?.widgetAdded.connect((_sender, panel) => follow(panel));
          tracker?.forEach(follow);
        }
      }
    };
  }

  /** @type {any} */
  const page = window;
  page._JUPYTERLAB = page._JUPYTERLAB ?? {};
  page._JUPYTERLAB.metaml = {
    /** @param {Shared} scope */
    init(scope) {
      shared = scope;
    },
    /** @param {string} name */
    async get(name) {
      if (name !== './extension') {
        throw new Error(`MetaML's extension has no module ${name}`);
      }
      const module = await extension();
      return () => module;
    }
  };
})();
