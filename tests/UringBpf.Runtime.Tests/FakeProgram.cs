using UringBpf.Bytecode;

namespace UringBpf.Runtime.Tests;

/// <summary>A program whose code is a C# method: what maps and rings see of a real one.</summary>
internal sealed unsafe class FakeProgram : BpfProgram
{
    private readonly delegate*<nint, byte*, ulong, ExecutionState*, ulong> _code;

    public FakeProgram(delegate*<nint, byte*, ulong, ExecutionState*, ulong> code, MapSet maps, ProgramType? type = null, int contextSize = 0,
        bool writesBuffers = false, params MapSpec[] uses)
        : base(Verify(type ?? ProgramTypes.Raw, contextSize, writesBuffers, uses), maps) => _code = code;

    public bool IsFreed { get; private set; }

    public override string Engine => "fake";

    public override delegate*<nint, byte*, ulong, ExecutionState*, ulong> EntryPoint => _code;

    public override nint Self => 77;

    protected override void Dispose(bool disposing) => IsFreed = true;

    private static VerifiedProgram Verify(ProgramType type, int contextSize, bool writesBuffers, MapSpec[] uses)
    {
        var spec = new ProgramSpec { Name = "fake", Type = type, Instructions = [new Instruction(0x95)], Maps = [.. uses] };
        return new VerifiedProgram(spec, type, contextSize, [new Subprogram("fake", 0, 1)], [default], Termination.Proved, 1, 0, writesBuffers, 1);
    }
}
