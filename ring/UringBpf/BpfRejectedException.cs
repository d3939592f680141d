using UringBpf.Bytecode;
using UringBpf.Verifier;

namespace UringBpf;

/// <summary>A program was rejected (UB2xxx): what the verifier found, with an input that shows it, if one was found.</summary>
public sealed class BpfRejectedException : BpfException
{
    internal BpfRejectedException(ProgramSpec program, Rejection rejection)
        : base(rejection.Code, $"program '{program.Name}': {rejection.Describe()}", rejection.Instruction)
    {
        Program = program.Name;
        Rejection = rejection;
    }

    /// <summary>The program's name.</summary>
    public string Program { get; }

    /// <summary>What the verifier found. Its <see cref="Rejection.Witness"/> has been tried on the checked interpreter.</summary>
    public Rejection Rejection { get; }
}
