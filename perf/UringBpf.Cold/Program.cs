// From a hook's object file to the end of its first run, in a fresh process. Prints the microseconds that have gone by when it
// is loaded, verified, compiled and run. Arguments: the object, and a CompilationMode.
using System.Diagnostics;
using System.Globalization;
using UringBpf.Bytecode;
using UringBpf.Compiler;
using UringBpf.Runtime;
using UringBpf.Verifier;

var mode = Enum.Parse<CompilationMode>(args[1]);
var start = Stopwatch.GetTimestamp();
var spec = ObjectSpec.Load(File.ReadAllBytes(args[0]), args[0]);
var loaded = Stopwatch.GetElapsedTime(start);
using var maps = MapSet.Create(spec.Maps);
var verified = ProgramVerifier.VerifyOrThrow(spec.Programs[0]);
var accepted = Stopwatch.GetElapsedTime(start);
using var program = ProgramCompiler.Compile(verified, maps, CompilerOptions.Default with { Mode = mode });
var compiled = Stopwatch.GetElapsedTime(start);
program.Run([]);
var ran = Stopwatch.GetElapsedTime(start);
foreach (var time in (TimeSpan[])[loaded, accepted, compiled, ran]) Console.Write(time.TotalMicroseconds.ToString("0 ", CultureInfo.InvariantCulture));
Console.WriteLine();
