// The web console in Chromium. Usage: main.js HOST PORT PASSWORD_OF_ADMIN PASSWORD_OF_OPERATOR PASSWORD_OF_VIEWER
// 'ok NAME' or 'FAIL NAME why' goes to standard output for each check, 'do WHAT' for what the test is to do; it answers
// with a line. Pictures of all pages go to $SCREENSHOTS/console.
'use strict';
const drive = require('./drive');
const looks = require('./looks');
const steps = require('./steps');

drive(steps, looks);
