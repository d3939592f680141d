// Global usings of the test project.
global using Xunit;
