import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig(({ command }) => ({
  base: command === "build" ? "/static/" : "/", // STATIC_URL of the site
  build: { assetsInlineLimit: 0 }, // no data: address, which the policy refuses
  plugins: [react()],
  server: { proxy: { "/api": "http://127.0.0.1:8000" } }, // of `npm run dev`
}));
