// The page of virtual routers in Chromium, at a gateway that shares addresses with another one. Usage: as that of main.js.
'use strict';
const drive = require('./drive');
const looks = require('./ha-looks');
const steps = require('./ha-steps');

drive(steps, looks);
