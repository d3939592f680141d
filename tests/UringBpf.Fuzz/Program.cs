using UringBpf.Fuzz;

// The long forms of the fuzz tests. Each verb prints one summary line; exit 0 when nothing broke, 1 when something did
// (each failure is printed with what repeats it), 2 on usage.
return args switch
{
    ["objects", .. var rest] when FuzzOptions.Parse(rest) is { } options => ObjectFuzzer.Run(options, verify: false),
    ["verify", .. var rest] when FuzzOptions.Parse(rest) is { } options => ObjectFuzzer.Run(options, verify: true),
    ["fields", .. var rest] when FuzzOptions.Parse(rest) is { } options => FieldFuzzer.Run(options),
    ["text", .. var rest] when FuzzOptions.Parse(rest) is { } options => TextFuzzer.Run(options),
    ["maps", .. var rest] when FuzzOptions.Parse(rest) is { } options => MapFuzzer.Run(options),
    ["selftests", var root, var noPerfmon, .. var objects] when objects.Length > 0 => Selftests.Run(root, noPerfmon, objects),
    ["ring", .. var rest] when FuzzOptions.Parse(rest) is { } options => RingFuzzer.Run(options),
    ["programs", .. var rest] when FuzzOptions.Parse(rest) is { } options => ProgramFuzzer.Run(options),
    ["show", .. var rest] when FuzzOptions.Parse(rest) is { } options => ProgramFuzzer.Show(options),
    ["reach", .. var rest] when FuzzOptions.Parse(rest) is { } options => Reach.Run(options),
    ["rules", .. var rest] when FuzzOptions.Parse(rest) is { } options => OracleFuzzer.Rules(options),
    ["oracles", .. var rest] when FuzzOptions.Parse(rest) is { } options => OracleFuzzer.Run(options),
    ["soak", .. var rest] when FuzzOptions.Parse(rest) is { } options => Soak.Run(options),
    _ => Usage(),
};

static int Usage()
{
    Console.Error.WriteLine($"""
        usage: dotnet run -c Release --project tests/UringBpf.Fuzz -- VERB [--count N] [--seed S] [--seconds T | --minutes T] [FILE...]
          objects   mutated objects through the loader; the FILEs, or the committed test objects, are damaged
          verify    the same, and what loads through the verifier
          fields    objects with lies in their fields through the loader; what loads must agree with itself, and its accepted programs
                    run without a fault, on every engine alike; --first N starts at case N
          text      damaged assembler text through the assembler, and back
          programs  random programs through the verifier and every engine; --first N starts at case N; --kernel N shows the
                    first N of them that it can run to the running kernel as well; --without NAME,… (or all) switches
                    optimisations of the JIT off: {string.Join(", ", EngineCheck.Optimisations.Select(one => one.Name))}
          show      program N (--first N) as text, with the verifier's walk; --kernel 1 adds the kernel's
          reach     what random programs reach: instructions, functions, maps, kinds of access; and what they never do
          rules     by which rules of the verifier programs are refused, and what the oracles see of those without the rule
          oracles   random programs against the verifier: no fault, every state among those claimed, one verdict
          maps      four host threads against a program on every kind of map, for --seconds (30)
          selftests ROOT.TSV NO-PERFMON.TSV OBJECT...
                    the verifier's verdicts beside the running kernel's (tests/kernel-selftests.sh makes the files)
          ring      hooks and a host that do anything, on a simulated ring with faults: seeds S to S + N - 1
          soak      the samples' hooks on io_uring, cancelled and detached at any moment, for --minutes (10)
        """);
    return 2;
}
