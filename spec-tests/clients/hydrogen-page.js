import { createNavigation, createRouter, FeatureSet, Platform, RootViewModel } from 'hydrogen-view-sdk'

/** Runs Hydrogen, the web client, as its own entry point does. `/config.json` names the homeserver. */
const platform = new Platform({
  container: document.body,
  configURL: '/config.json',
  assetPaths: {
    downloadSandbox: '/assets/download-sandbox.html',
    worker: '/assets/main.js',
    serviceWorker: '/sw.js',
    olm: { wasm: '/olm/olm.wasm', wasmBundle: '/olm/olm.js', legacyBundle: '/olm/olm_legacy.js' },
  },
})
const navigation = createNavigation()
platform.setNavigation(navigation)
await platform.init()
const urlRouter = createRouter({ navigation, history: platform.history })
urlRouter.attach()
const features = await FeatureSet.load(platform.settingsStorage)
const root = new RootViewModel({ platform, urlRouter, navigation, features })
await root.load()
platform.createAndMountRootView(root)
